"""What `serve` tells on a terminal, beside its log: a URL to try, how, and who else may dial."""

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

_LITTLE_TO_HEAR: tuple[type[Handler], ...] = (Silence, Noise, Echo, Record, Recognise)
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to listen on, and to dial then
_TONE = "dial"
_TRUST = "A self-signed certificate is not trusted there, unless SSL_CERT_FILE names it and it is for that host"


def lines(engine: Engine, port: int, config: Path | None) -> list[str]:
    """What to tell of a server that listens on a port, and was given a config file or found none."""
    told = []
    tried = _to_try(engine)
    if tried is not None:
        route, path = tried
        command = f"{_program()} call {_shown(_url(engine, port, path), route, config)}"
        told = [f"Try {path} from another terminal:", "", f"    {command}", ""]
        if engine.settings.tls.certificate:
            told[3:] = ["", f"{_TRUST}.", ""]
    told.append(describe_open_paths(engine.table.open_paths, len(engine.table)))
    return told


def _to_try(engine: Engine) -> tuple[Route, str] | None:
    """A route and its path, with its variables filled in: best one that anybody may dial, and that is heard."""
    found = [(route, path) for route in engine.table for path in _paths(engine, route)]
    return min(
        found,
        key=lambda each: (not each[0].access.is_open, issubclass(each[0].handler, _LITTLE_TO_HEAR)),
        default=None,
    )


def _paths(engine: Engine, route: Route) -> Iterator[str]:
    """A path that the route answers now, if one is found."""
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


def _shown(url: str, route: Route, config: Path | None) -> str:
    """A URL as an argument in a shell. A path with tokens is given a signed link: a token is shown nowhere."""
    if not route.access.tokens:
        return shlex.quote(url)
    option = f" --config {shlex.quote(str(config))}" if config is not None else ""
    return f'"$({_program()} sign {shlex.quote(url)}{option})"'


def _program() -> str:
    """What this program is called here."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m mediaserver"
    return "mediaserver" if shutil.which("mediaserver") else shlex.quote(called)
