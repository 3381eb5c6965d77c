"""The ports of AudioSocket over TCP: which path answers on which port, as a configuration says.

A connection on such a port names no path, no token and no query. The path is the port's own, written as in a URL,
perhaps with a query, such as `/play/welcome?repeat=2`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from uuid import UUID

from yarl import URL

from mediaserver.config.settings import AudioSocketSettings
from mediaserver.errors import RefusalReason, RefusedError, one_line
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.snapshot import Catalogue
from mediaserver.routing import routes
from mediaserver.routing.routes import WIRE_KEYS, Route
from mediaserver.routing.table import RouteTable, are_meant
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings

_LISTED = 8  # paths
_NIL = UUID(int=0)  # stands for a call that has not come yet


@dataclass(frozen=True, slots=True)
class Port:
    """One port, and the path that answers there."""

    number: int  # as configured: 0 where the system chooses one
    url: URL  # the path and its query
    route: Route
    variables: Mapping[str, str]  # of the path's pattern

    def variables_of(self, uuid: UUID) -> dict[str, str]:
        """The variables of a call: its UUID, and those of the path."""
        return {"uuid": str(uuid), **self.variables}

    def handler_of(self, uuid: UUID, catalogue: Catalogue) -> Handler:
        """The handler of a call; RefusedError as `Route.handler_of` has it."""
        return self.route.handler_of(self.variables_of(uuid), self.url.query, catalogue)

    @property
    def wire(self) -> WireSettings:
        """How to speak: the path's `inbound` and `lead` hold. Its encapsulation and framing are for WebSockets."""
        return replace(self.route.wire, encapsulation=Encapsulation.AUDIOSOCKET, framing=Framing.MESSAGE)


def build(
    settings: AudioSocketSettings,
    table: RouteTable,
    where: str,
    taken: Mapping[int, str] = MappingProxyType({}),
    unsound: Iterable[str] = (),
) -> tuple[dict[int, Port], list[str]]:
    """The ports by their numbers, and what is wrong with those that are left out.

    `taken` are ports of other listeners, by the settings that name them. `unsound` are paths that the table does
    not have, since something is wrong with them: that is told of them, and not of their ports again.
    """
    ports: dict[int, Port] = {}
    problems: list[str] = []
    for number, path in settings.ports.items():
        try:
            if number and number in taken:
                raise ValueError(f"is {taken[number]} as well: choose another port")
            ports[number] = _port(number, path, table)
        except RefusedError as error:
            if error.reason is not RefusalReason.UNKNOWN_PATH or not are_meant(unsound, URL(path)):
                problems.append(one_line(f"{_place(where, number)}: {error}{_known(table)}"))
        except ValueError as error:
            problems.append(one_line(f"{_place(where, number)}: {error}"))
    return ports, problems


def _known(table: RouteTable) -> str:
    patterns = [route.pattern for route in table]
    more = [f"and {len(patterns) - _LISTED} more"] if len(patterns) > _LISTED else []
    return f": there are {', '.join([*patterns[:_LISTED], *more])}" if patterns else ": there are no paths"


def missing_prompts(ports: Iterable[Port], catalogue: Catalogue, where: str) -> list[str]:
    """Why calls on ports would be refused once the prompts are loaded: a prompt is missing, a query is wrong."""
    return list(_missing_prompts(ports, catalogue, where))


def _missing_prompts(ports: Iterable[Port], catalogue: Catalogue, where: str) -> Iterator[str]:
    for port in ports:
        if port.route.examined.mistakes or routes.missing_prompts([port.route], catalogue, where):
            continue  # told of the path itself
        try:
            port.handler_of(_NIL, catalogue)
        except RefusedError as error:
            yield f"{_place(where, port.number)}: {error}"


def _place(where: str, number: int) -> str:
    return f"{where}: audiosocket.ports.{number}"


def _port(number: int, path: str, table: RouteTable) -> Port:
    url = URL(path)
    if not path.startswith("/") or url.absolute or url.host or url.fragment:
        raise ValueError("should be a path of this configuration, such as /audio-stream, perhaps with a query")
    route, variables = table.match(url)
    if route.access.tokens:
        raise ValueError(
            f'paths."{route.pattern}" asks for a token, and AudioSocket carries none:'
            " set tokens = [] on that path, and audiosocket.allow"
        )
    if named := sorted(WIRE_KEYS & url.query.keys()):
        raise ValueError(f"{' and '.join(named)} in the query: this wire is AudioSocket over TCP in any case")
    return Port(number, url, route, variables)
