"""Kind `url`: paths whose variables are to lead a URL of the operator's elsewhere."""

import functools
import json
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote

from yarl import URL

from mediaserver.config.settings import PathSettings, Settings
from mediaserver.errors import RefusedError
from mediaserver.handlers.bridge import Bridge
from mediaserver.routing import route_builder
from mediaserver.routing.filling import VARIABLE
from mediaserver.routing.table import RouteTable
from tests.fuzz import mutate
from tests.handlers.test_handlers import library_of

_TEMPLATES = [
    "ws://h/{a}",
    "wss://h:1/public/{a}/{b}",
    "ws://user:password@h/{a}/x/{b}/",
    "ws://h/{a}{b}/.{a}/{b}.",
    "ws://h?to={a}&{b}",
    "wss://[::1]:80/{b}/{a};v={a}/{a}-{b}?{a}#{b}",
]
_PARTS = [
    *(".", "..", "...", "/", "//", "\\", "?", "#", "@", ":", ";", "%", "%2e", "%2f", "%5c", "%252e", "%00", " "),
    *(
        "\t",
        "\r\n",
        "\0",
        "\x7f",
        "a",
        "é",
        "admin",
        "evil.example",
        "ws://evil",
        "user:x@",
        "[::1]",
        ":80",
        "\uff0e",
    ),
    *("\uff0e", "\u2024", "\u3002", "\ufffd", "%c0%ae", "%u002e", "\udcff"),
]


def make(rng: Random) -> tuple[int, str]:
    """A template's number, and a path for its variables, each of a few parts, encoded once, more often, or not."""
    return rng.randrange(len(_TEMPLATES)), f"{_value(rng)}/{_value(rng)}"


def _value(rng: Random) -> str:
    value = "".join(rng.choice(_PARTS) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9))))
    if rng.random() < 0.1:
        value = mutate.word(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5))):
        value = quote(value, safe="", errors="surrogatepass")
    return value


@functools.cache
def _table() -> RouteTable:
    paths = {
        f"/{n}/{{a:.*}}/{{b:.*}}": PathSettings.model_validate({"handler": "bridge", "url": template})
        for n, template in enumerate(_TEMPLATES)
    }
    built, wrong = route_builder.build_routes(Settings(paths=paths), "config.toml")
    assert not wrong, wrong
    return RouteTable(built)


def check(case: tuple[int, str], _: Path) -> None:
    """What would be dialled differs from its template in its variables alone, or the call is refused."""
    number, path = case
    template = _TEMPLATES[number]
    try:
        route, variables = _table().match_route_now(URL.build(path=f"/{number}/{path}", encoded=True))
        handler = route.build_handler(variables, {}, library_of({}).snapshot)
    except RefusedError as error:
        assert error.status in (400, 404, 414), f"{error.status}: {error}"  # noqa: PT017 - it may as well be taken
        return
    assert isinstance(handler, Bridge)
    filled, meant = URL(handler.url), URL(VARIABLE.sub("x", template))
    told = json.dumps([template, variables, handler.url])
    assert filled.origin() == meant.origin(), told
    assert (filled.user, filled.password) == (meant.user, meant.password), told
    segments, wanted = filled.raw_path.split("/"), URL(template).path.split("/")
    assert len(segments) == len(wanted), told
    for segment, wish in zip(segments, wanted, strict=True):
        assert segment == wish or VARIABLE.search(wish), told
        assert unquote(unquote(unquote(segment))) not in (".", ".."), told
        assert segment.isascii(), told
        assert segment.isprintable(), told
