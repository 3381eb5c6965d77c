"""The lines that `serve` shows on a terminal beside its log: a command to try, and URL paths open to any peer."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from mediaserver.errors import RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.handlers.echo import Echo
from mediaserver.handlers.noise import Noise, Silence
from mediaserver.handlers.recognise import Recognise
from mediaserver.handlers.record import Record
from mediaserver.routing.access import describe_open_paths
from mediaserver.routing.patterns import PATTERN_VARIABLE
from mediaserver.routing.route import Route
from mediaserver.runtime.engine import Engine

_SILENT_HANDLERS: tuple[type[Handler], ...] = (Silence, Noise, Echo, Record, Recognise)
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - maps a listening address to the one to dial
_TONE = "dial"
_TRUST = "A self-signed certificate is not trusted there, unless SSL_CERT_FILE names it and it is for that host"


def lines(engine: Engine, port: int, config: Path | None) -> list[str]:
    """The lines that `serve` shows once it listens on `port`: a command to try, and the URL paths open to anybody.

    `config` is the configuration file, None without one.
    """
    shown = []
    best = _best_route(engine)
    if best is not None:
        route, path = best
        command = f"{_program()} call {_shell_argument(_url(engine, port, path), route, config)}"
        shown = [f"Try {path} from another terminal:", "", f"    {command}", ""]
        if engine.settings.tls.certificate:
            shown[3:] = ["", f"{_TRUST}.", ""]
    shown.append(describe_open_paths(engine.table.open_paths, len(engine.table)))
    return shown


def _best_route(engine: Engine) -> tuple[Route, str] | None:
    """A route, and a URL path that it answers, or None. Open routes whose handler plays are preferred."""
    found = [(route, path) for route in engine.table for path in _answered_paths(engine, route)]
    return min(
        found,
        key=lambda each: (not each[0].access.is_open, issubclass(each[0].handler, _SILENT_HANDLERS)),
        default=None,
    )


def _answered_paths(engine: Engine, route: Route) -> Iterator[str]:
    """Yield a URL path that the route answers, its variables filled in; nothing if the values tried do not fit."""
    snapshot = engine.library.snapshot
    for value in (*list(snapshot.by_name)[:1], _TONE):
        variables = dict.fromkeys(PATTERN_VARIABLE.findall(route.pattern), value)
        try:
            route.build_handler(variables, {}, snapshot)
        except RefusedError:
            continue
        yield PATTERN_VARIABLE.sub(quote(value), route.pattern)
        return


def _url(engine: Engine, port: int, path: str) -> str:
    settings = engine.settings
    host = _WILDCARDS.get(settings.server.host, settings.server.host)
    return f"{'wss' if settings.tls.certificate else 'ws'}://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _shell_argument(url: str, route: Route, config: Path | None) -> str:
    """A URL as an argument of a shell command.

    If the URL path has tokens, the argument is a command that signs a link, because no token may be shown.
    """
    if not route.access.tokens:
        return shlex.quote(url)
    option = f" --config {shlex.quote(str(config))}" if config is not None else ""
    return f'"$({_program()} sign {shlex.quote(url)}{option})"'


def _program() -> str:
    """The shell command with which this program was started, without its arguments."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m mediaserver"
    return "mediaserver" if shutil.which("mediaserver") else shlex.quote(called)
