"""The ports for AudioSocket over TCP, and the path whose handler answers on each port.

A connection of AudioSocket over TCP carries no path, no token and no query. The configuration therefore gives each
port a path, perhaps with a query, such as `/play/welcome?repeat=2`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from uuid import UUID

from yarl import URL

from mediaserver.config.listener_settings import AudioSocketSettings
from mediaserver.errors import RefusalReason, RefusedError, single_line
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing import requirements
from mediaserver.routing.route import WIRE_KEYS, Route
from mediaserver.routing.table import RouteTable, matches_any_pattern
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings

_LISTED = 8  # the maximum number of paths that an error message lists
_NIL = UUID(int=0)  # the UUID that stands for a call's UUID when a port's handler is built only to find mistakes


@dataclass(frozen=True, slots=True)
class Port:
    """One port for AudioSocket over TCP, and the path whose handler answers on it."""

    number: int  # the configured port number; 0 if the operating system is to choose a free port
    url: URL  # the configured path and its query
    route: Route  # the route that the path matches
    variables: Mapping[str, str]  # the values of the variables in the route's pattern

    def call_variables(self, uuid: UUID) -> dict[str, str]:
        """The variables of one call: the call's UUID, and the variables in the pattern of the port's path."""
        return {"uuid": str(uuid), **self.variables}

    def build_handler(self, uuid: UUID, snapshot: PromptSnapshot) -> Handler:
        """Return the handler for one call.

        Raises RefusedError if the configured query is wrong, if the value of a variable in a setting is wrong or
        missing, or if a prompt or tone does not exist.
        """
        return self.route.build_handler(self.call_variables(uuid), self.url.query, snapshot)

    @property
    def wire(self) -> WireSettings:
        """The wire format of the port's calls: AudioSocket, with the path's settings `inbound` and `lead`."""
        return replace(self.route.wire, encapsulation=Encapsulation.AUDIOSOCKET, framing=Framing.MESSAGE)


def build_ports(
    settings: AudioSocketSettings,
    table: RouteTable,
    where: str,
    used_ports: Mapping[int, str] = MappingProxyType({}),
    invalid_paths: Iterable[str] = (),
) -> tuple[dict[int, Port], list[str]]:
    """Build the configured ports, by number, and one line for each port that is left out because of a mistake.

    `used_ports` has the ports of other listeners, each with the name of its setting. `invalid_paths` are
    configured paths that are not in the table because of mistakes. A port with such a path is left out without a
    line, because the path's mistakes are reported already.
    """
    ports: dict[int, Port] = {}
    problems: list[str] = []
    for number, path in settings.ports.items():
        try:
            if number and number in used_ports:
                raise ValueError(f"is {used_ports[number]} as well: choose another port")
            ports[number] = _build_port(number, path, table)
        except RefusedError as error:
            if error.reason is not RefusalReason.UNKNOWN_PATH or not matches_any_pattern(invalid_paths, URL(path)):
                problems.append(single_line(f"{_location(where, number)}: {error}{_known_paths(table)}"))
        except ValueError as error:
            problems.append(single_line(f"{_location(where, number)}: {error}"))
    return ports, problems


def _known_paths(table: RouteTable) -> str:
    patterns = [route.pattern for route in table]
    more = [f"and {len(patterns) - _LISTED} more"] if len(patterns) > _LISTED else []
    return f": there are {', '.join([*patterns[:_LISTED], *more])}" if patterns else ": there are no paths"


def missing_prompts(ports: Iterable[Port], snapshot: PromptSnapshot, where: str) -> list[str]:
    """One line for each port whose calls would be refused: a prompt is missing, or the port's query is wrong."""
    return list(_missing_prompts(ports, snapshot, where))


def _missing_prompts(ports: Iterable[Port], snapshot: PromptSnapshot, where: str) -> Iterator[str]:
    for port in ports:
        if port.route.validated.problems or requirements.missing_prompts([port.route], snapshot, where):
            continue  # the mistake is in the settings of the path, and is reported for the path
        try:
            port.build_handler(_NIL, snapshot)
        except RefusedError as error:
            yield f"{_location(where, port.number)}: {error}"


def _location(where: str, number: int) -> str:
    return f"{where}: audiosocket.ports.{number}"


def _build_port(number: int, path: str, table: RouteTable) -> Port:
    url = URL(path)
    if not path.startswith("/") or url.absolute or url.host or url.fragment:
        raise ValueError("should be a path of this configuration, such as /audio-stream, perhaps with a query")
    route, variables = table.match_route_now(url)
    if route.access.tokens:
        raise ValueError(
            f'paths."{route.pattern}" asks for a token, and AudioSocket carries none:'
            " set tokens = [] on that path, and audiosocket.allow"
        )
    if named := sorted(WIRE_KEYS & url.query.keys()):
        raise ValueError(
            f"{' and '.join(named)} in the query: leave it out, as such a port always speaks AudioSocket"
        )
    return Port(number, url, route, variables)
