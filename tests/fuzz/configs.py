"""Kind `config`: configurations that are wrong in every way, with secrets in them that must never be shown."""

import asyncio
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random

from yarl import URL

from mediaserver import config
from mediaserver.errors import ConfigError, RefusedError
from mediaserver.routing import audiosocket_ports, route_builder
from mediaserver.routing.table import RouteTable
from mediaserver.support.credentials import resolve_secret
from tests.fuzz import mutate
from tests.project import ROOT

MARK = "s3cr3tMARK"  # stands in every secret
_SECRET = {"token", "tokens", "secret", "url", "api", "webhook"}  # keys that it stands under
_EXAMPLE = ROOT / "config.example.toml"
_SECRETS = f"""
[voipbin]
api = "https://user:{MARK}@api.example.com/v1.0"
token = "{MARK}"
[events]
url = "https://backend.example.com/events?token={MARK}"
secret = "{MARK}"
"""
_FLOW = f"""
[paths."/{{shop}}/menu"]
handler = "menu"
start = "main"
on_webhook_error = {{ menu = "main" }}
menus.main.keys.1 = {{ record = {{ file = "{{id}}.wav" }}, webhook = "https://x.example/{{shop}}?token={MARK}" }}
menus.main.collect = {{ min = 1, max = 4 }}
menus.main.then = {{ hangup = true }}
"""
_PATTERNS = [
    *(
        "/{a}/{b}",
        "/{a:.+}",
        "/{a:[^/]+}/{a}",
        "/{a:(b|c)+}",
        "/{a:(}",
        "/{a:[}",
        "/{a:\\\\d{2,3}}",
        "/{:x}",
        "/{}",
    ),
    *(
        "/{a:(x+x+)+y}",
        "/{a:(?P<a>.)}",
        "/{a:(?P=a)}",
        "/{a:(?i)x}",
        "/{a:.{99999}}",
        "/{a:a{1,65535}}",
        "/{a}{b}",
    ),
    *(
        "",
        "/",
        "//",
        "x",
        "/*",
        "/%2F",
        "/%zz",
        "/ä",
        "/a b",
        "/\\u0000",
        "/\\n",
        "/a\\u2028b",
        "/{a:\\\\Z}",
        "/..",
    ),
    *("/{a:" + "(" * 60 + ")" * 60 + "}", "/" + "{a}" * 50, "/" + "x" * 3000, "/{1}", "/{__class__}", "/{a-b}"),
]
_VALUES = [
    *(
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        '""',
        "''",
        '"""\n"""',
        "true",
        "-1",
        "0",
        "inf",
        "nan",
        "-inf",
        "1e999",
        "0xFFFF",
    ),
    *(
        "9" * 30,
        "9" * 5000,
        "1979-05-27T07:32:00Z",
        "07:32:00",
        '"\\u0000"',
        '"a\\nb"',
        '"{x}"',
        '"{prompt}"',
        "[",
    ),
    *('"env:"', '"env:NO_SUCH"', '"env:a=b"', '"file:"', '"file:/nowhere"', '"file:/"', '"file:a\\u0000b"'),
    *(
        '"os:system"',
        '"json:JSONDecoder"',
        '"no.such:Thing"',
        '"..:x"',
        '":"',
        '"a\\nb"',
        '"http://["',
        '"http://a:b"',
    ),
    *(
        "[" * 200 + "]" * 200,
        '"' + "a" * 3000 + '"',
        "{ a = { b = { c = [1, [2, [3]]] } } }",
        '"𝄞"',
        '["x", 1, {}]',
    ),
]
_KEY = re.compile(r"^([\w.\"-]+) = (.*)$")


def _uncommented(text: str) -> str:
    """The example with all that it has commented out."""
    lines = (line.removeprefix("# ") if _is_setting(line) else line for line in text.splitlines())
    return "\n".join(line for line in lines if not line.startswith("#"))


def _is_setting(line: str) -> bool:
    words = line.removeprefix("# ").split()
    return line.startswith("# [paths.") or (line.startswith("# ") and len(words) > 2 and words[1] == "=")


_WHOLE = _uncommented(_EXAMPLE.read_text(encoding="utf-8"))
_TABLES = ["\n[" + table for table in ("\n" + _WHOLE).split("\n[")[1:]]


def make(rng: Random) -> bytes:
    """A few tables of the example and some with secrets in them, wrong in a few places."""
    tables = rng.sample(_TABLES, rng.randint(1, 6))
    tables = [table for table in tables if not table.startswith(("\n[voipbin]", "\n[events]"))]
    lines = "".join([*tables, _SECRETS, _FLOW if rng.random() < 0.4 else ""]).splitlines()
    for _ in range(rng.randint(0, 4)):
        rng.choice(_WAYS)(rng, lines)
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return data if rng.random() < 0.7 else mutate.mutated(rng, data, 3)


def check(data: bytes, scratch: Path) -> None:
    """Load it, build its routes and ports, look one up: it is right, or each problem is a line with no secret."""
    file = scratch / "config.toml"
    file.write_bytes(data)
    found: list[str] = []
    try:
        settings, found = config.load(file)
        built, wrong = route_builder.build_routes(settings, "config.toml")
        found += wrong
        resolve_secret(settings.voipbin.token, "config.toml: voipbin.token")
        resolve_secret(settings.events.secret, "config.toml: events.secret")
        table = RouteTable(built)
        asyncio.run(_look_up(table))
        found += audiosocket_ports.build_ports(settings.audiosocket, table, "config.toml")[1]
    except ConfigError as error:
        found += error.problems or [""]
    for problem in found:
        assert problem.strip(), "an empty problem"
        assert len(problem.splitlines()) == 1, f"more than one line: {problem!r}"
        assert MARK not in problem or _misplaced(data), f"a secret is shown: {problem!r}"


def _misplaced(data: bytes) -> bool:
    """Whether the secret was moved to a setting that is none, and may be shown."""
    try:
        tables = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return False
    waiting: list[tuple[str, object]] = [("", tables)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += ((key, each) for each in value)
        elif MARK in str(value) and key not in _SECRET and "//" not in str(value):
            return True
    return False


async def _look_up(table: RouteTable) -> None:
    for path in ("/", "/a/b/c", "/a/menu", "/%2e%2e/%00", "/play/" + "x" * 50):
        try:
            await table.match_route(URL(path, encoded=True))
        except RefusedError as error:
            assert error.status == 404  # noqa: PT017 - it may as well be found


def _replace_value(rng: Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    if (line := _KEY.match(lines[at])) and MARK not in line[2]:
        lines[at] = f"{line[1]} = {rng.choice(_VALUES)}"


def _replace_key(rng: Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    if line := _KEY.match(lines[at]):
        lines[at] = f"{rng.choice((line[1][:-1] or 'x', _quoted(rng), line[1] + '.x', 'handler'))} = {line[2]}"


def _another_path(rng: Random, lines: list[str]) -> None:
    pattern = rng.choice(_PATTERNS)
    lines += [f'[paths."{pattern}"]', f'handler = "{rng.choice(("silence", "playback", "tone", "menu", "x"))}"']
    lines += [f'prompt = "{rng.choice(("{a}", "{b}", "x", "{"))}"'] * rng.randrange(2)


def _another_port(rng: Random, lines: list[str]) -> None:
    number = rng.choice(("0", "9000", "65536", "-1", _quoted(rng)))
    path = rng.choice(
        (*_PATTERNS, "/silence?repeat=2", "/hold?framing=pcm", "//x", "/x?" + "a=b&" * 50, "http://x")
    )
    lines += ["[audiosocket]", f'ports = {{ {number} = "{path}", 9001 = {_quoted(rng)} }}']


def _another_table(rng: Random, lines: list[str]) -> None:
    name = rng.choice(("server", "log", "voipbin", "events", "defaults", "paths", _quoted(rng)))
    table = rng.choice((f"[{name}]", f"[[{name}]]", f"[{name}.x]", f"{name} = {rng.choice(_VALUES)}"))
    lines[:] = [*lines, table] if rng.random() < 0.5 else [table, *lines]


def _doubled_brackets(rng: Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    if lines[at].startswith("["):
        lines[at] = f"[{lines[at].split(']')[0]}]]"


def _drop(rng: Random, lines: list[str]) -> None:
    if len(lines) > 1:
        del lines[rng.randrange(len(lines))]


def _repeat(rng: Random, lines: list[str]) -> None:
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))


def _move(rng: Random, lines: list[str]) -> None:
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randint(0, len(lines)), line)


def _quoted(rng: Random) -> str:
    """A hostile text as a key of TOML."""
    letters = mutate.word(rng)[:200]
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in letters) + '"'


_WAYS: list[Callable[[Random, list[str]], None]] = [
    *(_replace_value, _replace_value, _replace_value, _replace_key, _another_path, _another_path),
    *(_another_port, _another_table, _doubled_brackets, _drop, _repeat, _move),
]
