"""Mistakes in a configuration, each as one line that says what to do, all of them at once."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic_core.core_schema import ErrorType

from mediaserver import config
from mediaserver.client.attach import AttachRequest
from mediaserver.config.error_messages import MESSAGES, MISSING, UNKNOWN, KeyPath, union_members
from mediaserver.config.settings import Settings
from mediaserver.config.suggestions import suggest_key
from mediaserver.config.validation import validate_table
from mediaserver.errors import ConfigError
from mediaserver.handlers.menu.transitions import list_transitions
from mediaserver.handlers.menu.webhook import WebhookAnswer
from mediaserver.handlers.table import HANDLERS
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration
from mediaserver.server.admin.schemas.requests import PressedKeys
from tests.project import cache_in, mistakes, without_missing_engine
from tests.sound import speechlike, write_wav


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all tests share."""
    return cache_in(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


async def told(tmp_path: Path, text: str) -> list[str]:
    """All that `check` says stops `serve`, without the file's name; there is one prompt, welcome."""
    write_wav(tmp_path / "prompts/welcome.wav", speechlike(160))
    (tmp_path / "c.toml").write_text(text)
    lines = await mistakes(Path("c.toml"))
    assert not [line for line in lines if not line.startswith("c.toml: ") or "\n" in line]
    return [line.removeprefix("c.toml: ") for line in lines]


LATE = '[paths."/a"]\nhandler = "playback"\nprompt = "welcome"\n'

# What a file says, and the one line that is told of it.
TABLE = [
    # a key at another place
    ("port = 9000", "port: unknown setting (did you mean server.port?)"),
    ("[server]\ntokens = []", "server.tokens: unknown setting (did you mean defaults.tokens?)"),
    ("[server]\ncertificate = 'x'", "server.certificate: unknown setting (did you mean tls.certificate?)"),
    (f"{LATE}heartbeat = 5", 'paths."/a": heartbeat: unknown setting (did you mean server.heartbeat?)'),
    (f"{LATE}framin = 'pcm'", 'paths."/a": framin: unknown setting (did you mean "framing"?)'),
    ("[openai]\nmodel = 'x'", "openai: unknown setting (did you mean [speech.openai]?)"),
    ("handler = 'silence'", 'handler: unknown setting (did you mean handler in a path, such as [paths."/hold"]?)'),
    ("['/a']\nhandler = 'silence'", '"/a": unknown setting (did you mean [paths."/a"]?)'),
    ("[paths.a]\nhandler = 'silence'", 'paths."a": a path begins with /, as in [paths."/a"]'),
    ("[server]\nquux = 1", "server.quux: unknown setting"),
    # a value of another kind
    ("[server]\nport = true", "server.port: should be a whole number (it is true)"),
    ("[server]\nport = 80.5", "server.port: should be a whole number (it is 80.5)"),
    ("[server]\nport = '80'", "server.port: should be a whole number, without quotes (it is '80')"),
    ("[server]\nheartbeat = true", "server.heartbeat: should be a number (it is true)"),
    ("[server]\nheartbeat = '5'", "server.heartbeat: should be a number, without quotes (it is '5')"),
    ("[server]\nheartbeat = nan", "server.heartbeat: should be a finite number (it is nan)"),
    ("[server]\nhost = 5", "server.host: should be text, in quotes (it is 5)"),
    ("[server]\nreuse_port = 1", "server.reuse_port: should be true or false (it is 1)"),
    ("[server]\nreuse_port = 'true'", "server.reuse_port: should be true or false, without quotes (it is 'true')"),
    (
        "[server]\ntrusted_proxies = '::1'",
        'server.trusted_proxies: should be a list, such as ["a", "b"] (it is \'::1\')',
    ),
    *(
        (
            f"[server]\nhost = '{host}'",
            'server.host: should be an address or a host name, without scheme and port, such as "127.0.0.1"'
            f" (it is '{host}')",
        )
        for host in ("0.0.0.0:8080", "999.1.1.1", "[::1]", "media server")
    ),
    *((f"[server]\nhost = '{host}'", []) for host in ("", "::1", "0.0.0.0", "media-1.example.com", "media_1")),
    (
        "[flows]\nhost = 'http://127.0.0.1'",
        'flows.host: should be an address or a host name, without scheme and port, such as "127.0.0.1"',
    ),
    (
        "[defaults]\nrtp_payload = 'PCMU'",
        'defaults.rtp_payload: should be "auto", "pcmu", "pcma" or "l16" (did you mean "pcmu"?) (it is \'PCMU\')',
    ),
    ("[defaults]\ntime_limit = false", "defaults.time_limit: should be a number (it is false)"),
    ("[prompts]\ndirectory = 5", "prompts.directory: should be a path, in quotes (it is 5)"),
    ("[prompts]\ncache = ''", "prompts.cache: should not be empty (it is '')"),
    ("[chat]\nparameters = 5", "chat.parameters: should be a table, such as { key = value } (it is 5)"),
    (
        "[chat.parameters]\nsince = 2026-01-01\nseed = 7\n",
        "chat.parameters.since: is a date or a time, which JSON does not have: put it in quotes",
    ),
    (
        "[chat]\nparameters.at = { from = 08:00:00, to = [2026-01-01T08:00:00Z] }",
        [
            "chat.parameters.at: from: is a date or a time, which JSON does not have: put it in quotes",
            "chat.parameters.at: to[0]: is a date or a time, which JSON does not have: put it in quotes",
        ],
    ),
    ("[chat.parameters]\ntemperature = nan", "chat.parameters.temperature: should be a finite number (it is nan)"),
    ("[chat.parameters]\nlogit_bias = { 1 = -inf }", "chat.parameters.logit_bias: 1: should be a finite number"),
    ("[speech]\nopenai = 5", "speech.openai: should be a table, such as { key = value } (it is 5)"),
    ("server = 5", "server: is a table, [server]"),
    ("[[paths]]\nhandler = 'silence'", 'paths: has a table for each path, such as [paths."/hold"]'),
    (
        "[paths.'ws://127.0.0.1:8080/a']\nhandler = 'silence'",
        'paths."ws://127.0.0.1:8080/a": a path begins with /, as in [paths."/a"]',
    ),
    (
        "[paths.'ws://127.0.0.1']\nhandler = 'silence'",
        'paths."ws://127.0.0.1": a path begins with /, as in [paths."/"]',
    ),
    (f"{LATE}lead = true", 'paths."/a".lead: should be a whole number (it is true)'),
    (f"{LATE}linger_ms = true", 'paths."/a": linger_ms: should be a whole number (it is true)'),
    (f"{LATE}gap_ms = '5'", "paths.\"/a\": gap_ms: should be a whole number, without quotes (it is '5')"),
    (
        "[paths.'/h']\nhandler = 'hold-music'\nprompts = ['welcome', 5]",
        'paths."/h": prompts[1]: should be text, in quotes (it is 5)',
    ),
    (
        "[paths.'/h']\nhandler = 'hold-music'\nprompts = ['welcome']\nshared = 1",
        'paths."/h": shared: should be true or false (it is 1)',
    ),
    ("[paths.'/r']\nhandler = 'record'\nbeep = 1", 'paths."/r": beep: should be true or false (it is 1)'),
    (
        "[paths.'/r']\nhandler = 'record'\nfinish_on = 'x'",
        "paths.\"/r\": finish_on: should be keys, of 0-9 A-D * # (it is 'x')",
    ),
    (
        "[paths.'/s']\nhandler = 'playback'\nprompts = ['welcome', { say = 5 }]",
        'paths."/s": prompts[1].say: should be text, in quotes (it is 5)',
    ),
    (
        "[paths.'/b']\nhandler = 'hold-music'\nprompts = [3]",
        'paths."/b": prompts[0]: should be text, in quotes (it is 3)',
    ),
    (
        "[paths.'/b']\nhandler = 'playback'\nprompts = [['beep']]",
        'paths."/b": prompts[0]: should be one text, in quotes, and no list',
    ),
    # what no variable of a URL makes right
    (
        "[paths.'/p/{x}']\nhandler = 'hold-music'\nprompts = [['{x}']]",
        'paths."/p/{x}": prompts[0]: should be one text, in quotes, and no list',
    ),
    (
        "[paths.'/p/{x}']\nhandler = 'playback'\nprompts = { first = '{x}' }",
        'paths."/p/{x}": prompts: should be a list, such as ["a", "b"]',
    ),
    (
        "[paths.'/p/{x}']\nhandler = 'hold-music'\nprompts = '{x}'",
        'paths."/p/{x}": prompts: should be a list, such as ["a", "b"] (it is \'{x}\')',
    ),
    (
        "[paths.'/p/{x}']\nhandler = 'playback'\nprompt = 'welcome'\nlinger_ms = ['{x}']",
        'paths."/p/{x}": linger_ms: should be a whole number',
    ),
    (
        "[paths.'/p/{x}']\nhandler = 'playback'\npromt = '{x}'",
        'paths."/p/{x}": promt: unknown setting (did you mean "prompt"?)',
    ),
    *(
        (
            f"[paths.'/b/{{x}}']\nhandler = 'bridge'\nurl = '{url}'",
            'paths."/b/{x}": url: should be a URL that begins with ws:// or wss://',
        )
        for url in ("http://bot/{x}", "http://bot/x", "http://bot?call={x}", "ws:///{x}")
    ),
    (
        "[paths.'/b/{x}']\nhandler = 'bridge'\nurl = 'ws://bot:99999/{x}'",
        'paths."/b/{x}": url: the port in the URL should be a whole number up to 65535',
    ),
    *(
        (
            f"[paths.'/b/{{x}}']\nhandler = 'bridge'\nurl = '{url}'",
            'paths."/b/{x}": url: no {variable} is filled into a URL before its path: write out its scheme, host'
            " and port, such as wss://bots.example.com/{name}",
        )
        for url in ("{x}", "{x}://bot/", "ws://{x}/", "ws://bot:{x}/")
    ),
    ("[paths.'/b/{x}']\nhandler = 'bridge'\nurl = 'ws://bot/{x}'", []),
    # what is not there
    ("[paths.'/a']\nprompt = 'welcome'", 'paths."/a": handler is missing'),
    (
        "[paths.'/a']\nhandlr = 'playback'\nprompt = 'welcome'",
        [
            'paths."/a": handler is missing',
            'paths."/a".handlr: unknown setting (did you mean "handler"?)',
        ],
    ),
    ("[paths.'/a']\nhandler = 'bridge'", 'paths."/a": url is missing'),
    ("[paths.'/a']\nhandler = 'playback'", 'paths."/a": give either "prompt" or "prompts"'),
    (
        "[paths.'/a']\nhandler = 'playback'\npromt = 'welcome'",
        'paths."/a": promt: unknown setting (did you mean "prompt"?)',
    ),
    (
        "[paths.'/m']\nhandler = 'menu'\n"
        "menus.main = { menu = 'x', keys = { 1 = {}, 2 = { hangup = 1 }, 3 = {} } }",
        [
            'paths."/m": menus.main.keys.2.hangup: should be true or false (it is 1)',
            'paths."/m": menus.main.menu: unknown setting',
            'paths."/m": menus.main.keys.1: is a dead end: give a menu, webhook, transfer, actions or hangup',
            'paths."/m": menus.main.keys.3: is a dead end: give a menu, webhook, transfer, actions or hangup',
        ],
    ),
    (  # that a left-out menu may have been meant does not hide a menu that there is not
        "[paths.'/m']\nhandler = 'menu'\n"
        "menus.main = { keys = { 1 = { menu = 'front desk' } } }\n"
        "menus.'front desk' = { keys = { 1 = { menu = 'slaes' }, 2 = { menu = 'sales' } } }\n"
        "menus.sales = { collect = { max = 2 } }",
        [
            'paths."/m": menus.sales: "collect" and "then" go together: digits, and what they lead to',
            'paths."/m": menus."front desk".keys.1: no menu "slaes" (did you mean "sales"?)',
        ],
    ),
    (  # nor does a key of the same name
        "[paths.'/m']\nhandler = 'menu'\n"
        "menus.main = { plays = 'x', keys = { 1 = { menu = 'front desk' } } }\n"
        "menus.'front desk' = { keys = { 1 = { menu = 'plays' } } }",
        [
            'paths."/m": menus.main.plays: unknown setting (did you mean "play"?)',
            'paths."/m": menus."front desk".keys.1: no menu "plays"',
        ],
    ),
    # tones
    (
        "[paths.'/e']\nhandler = 'tone'\ntone = 'dtmf:12z'",
        'paths."/e": tone: "z" is not a DTMF digit: 0-9, A-D, * or #',
    ),
    (
        "[paths.'/e']\nhandler = 'tone'\ntone = '480+/500'",
        'paths."/e": tone: "480+/500" is not a tone segment such as 480+620/500 or !950/330',
    ),
    # prompts, paths and ports
    (
        "[paths.'/p']\nhandler = 'hold-music'\nprompts = ['welcome']\nannouncement = 'x'",
        'paths."/p": announcement: no prompt "x"',
    ),
    (
        "[paths.'/p']\nhandler = 'menu'\n"
        "menus.main = { keys = { 1 = { play = ['welcome', 'x'], hangup = true } } }",
        'paths."/p": menus.main.keys.1.play[1]: no prompt "x"',
    ),
    (
        LATE.replace("welcome", "welcome.wav"),
        'paths."/a": no prompt "welcome.wav" (did you mean "welcome"? Prompts are named without the extension)',
    ),
    (
        LATE.replace("welcome", "welcom.mp3"),
        'paths."/a": no prompt "welcom.mp3" (did you mean "welcome"?): prompts are named without the extension',
    ),
    (
        LATE.replace("welcome", "sounds/prompts/welcome.wav"),
        'paths."/a": no prompt "sounds/prompts/welcome.wav" (did you mean "welcome"?'
        " Prompts are named by their path in the prompt folder)",
    ),
    (
        "[paths.'/p']\nhandler = 'playback'\nprompt = ['welcome']",
        'paths."/p": prompt: should be one text, in quotes, and no list',
    ),
    (
        "[paths.'/p']\nhandler = 'menu'\nmenus.main = { keys.1 = { say = 'Hello', hangup = true } }",
        'paths."/p": menus.main.keys.1.say: unknown setting (did you mean play = {say = "…"}?)',
    ),
    (
        "[paths.'/p']\nhandler = 'menu'\n"
        "menus.main = { prompt = 'welcome', keys.1 = { goto = 'main', hangup = true } }",
        [
            'paths."/p": menus.main.keys.1.goto: unknown setting (did you mean "menu"?)',
            'paths."/p": menus.main.prompt: unknown setting (did you mean "play"?)',
        ],
    ),
    ("[paths.'/p']\nhandler = 'playback'\nprompt = { say = 'Hello.' }", []),
    (
        "[paths.'/p']\nhandler = 'playback'\nprompt = { say = 'Hello {name', rat = 1 }",
        [
            "paths.\"/p\": prompt.say: the braces do not match (expected '}' before end of string);"
            " a brace is written {{ or }} (it is 'Hello {name')",
            'paths."/p": prompt.rat: unknown setting (did you mean "rate"?)',
        ],
    ),
    (
        f"[audiosocket]\nports = {{ 9000 = '/r' }}\n{LATE}",
        "audiosocket.ports.9000: no path /r: there are /a",
    ),
    (
        f"[audiosocket]\nports = {{ 0 = '/a' }}\n{LATE}",
        "audiosocket.ports.0: should be a port, 1 to 65535, in digits alone, such as 9000 (it is '0')",
    ),
    (
        f"[audiosocket]\nports = {{ 9000 = '/a', '9_000' = '/a' }}\n{LATE}",
        "audiosocket.ports.9_000: should be a port, 1 to 65535, in digits alone, such as 9000 (it is '9_000')",
    ),
    (
        f"[audiosocket]\nports = {{ 9000 = '/a', '09000' = '/a' }}\n{LATE}",
        "audiosocket.ports.09000: should be a port, 1 to 65535, in digits alone, such as 9000 (it is '09000')",
    ),
    ("[server]\nport = 8081", "admin.port: is server.port as well: choose another port"),
    # secrets
    ("[events]\nsecret = 'env:'", "events.secret: env: is incomplete: write env:NAME or file:PATH"),
    (
        "[defaults]\ntokens = ['a', 'file: ']",
        "defaults.tokens[1]: file: is incomplete: write env:NAME or file:PATH",
    ),
    (
        "[chat]\nurl = ''\n[paths.'/a']\nhandler = 'assistant'\ninstructions = 'Hi'\n",
        "chat.url: should be a URL that begins with http:// or https://",
    ),
    ("[admin]\ntoken = 5301", "admin.token: should be text, in quotes"),
    (
        "[voipbin]\ntoken = 'vb_s3cret'",
        "voipbin.token: is an access key, as it begins with vb_: set it as voipbin.access_key",
    ),
    (
        "[voipbin]\naccess_key = 'eyJhbGc.eyJzdWI.c2ln'",
        "voipbin.access_key: is a token, a JWT by its form: set it as voipbin.token",
    ),
]


@pytest.mark.parametrize(("text", "line"), TABLE)
async def test_a_mistake_is_one_line_that_says_what_to_do(
    tmp_path: Path, text: str, line: str | list[str]
) -> None:
    paths = "" if "[paths" in text else f"\n{LATE}"
    found = without_missing_engine(await told(tmp_path, f"{text}{paths}"))
    assert found == ([line] if isinstance(line, str) else line)


def test_a_relative_file_that_is_missing_is_told_with_the_folder_that_was_looked_in(tmp_path: Path) -> None:
    settings = Settings.model_validate({"defaults": {"tokens": ["file:t.txt"]}, "paths": {}})
    (line,) = Configuration.build(settings, "c").problems
    why = f"t.txt cannot be read: No such file or directory (looked in {tmp_path}, the working directory)"
    assert line == f"c: defaults.tokens[0]: {why}"


def test_a_variable_of_the_environment_is_told_what_json_cannot_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_CHAT__PARAMETERS__SEED", "7")
    monkeypatch.setenv("MEDIASERVER_CHAT__PARAMETERS__TEMPERATURE", "NaN")
    settings, problems = config.load()
    assert problems == [
        "MEDIASERVER_CHAT__PARAMETERS__TEMPERATURE: chat.parameters.temperature: should be a finite number"
        " (it is nan)"
    ]
    assert settings.chat.parameters == {"seed": 7}


@pytest.mark.parametrize("line", ["[paths./a]", "[[ paths . /a ]]", "/a = { handler = 'silence' }", " /a= {}"])
def test_a_path_without_quotes_is_named_as_the_mistake(tmp_path: Path, line: str) -> None:
    (tmp_path / "c.toml").write_text(f"[server]\nport = 1\n{line}\nhandler = 'silence'\n")
    with pytest.raises(ConfigError) as caught:
        config.load(Path("c.toml"))
    (problem,) = caught.value.problems
    assert problem.startswith("c.toml: is not TOML: ")
    assert "at line 3, " in problem
    assert problem.endswith(': a path stands in quotes, as in [paths."/a"]')


def test_a_text_without_quotes_is_named_as_the_mistake() -> None:
    Path("c.toml").write_text("[paths.'/a']\nhandler = playback\n")
    with pytest.raises(ConfigError) as caught:
        config.load(Path("c.toml"))
    (problem,) = caught.value.problems
    assert problem.endswith(': text stands in quotes, as in handler = "playback"')


ALL_AT_ONCE = """
prots = 1
[server]
port = "x"
[voipbin]
token = "env:N0T_THERE"
[audiosocket]
ports = { 9000 = "/nope", 9001 = "/unknown", 9002 = "/menu", 0 = "/menu" }
[paths."/menu"]
handler = "menu"
start = "mian"
framing = "tcp"
[paths."/menu".menus.main]
play = "no-prompt"
retry = 2
keys.1 = { menu = "salse" }
keys.2 = { menu = "main", hangup = 1 }
keys.3 = { play = "nor-this", menu = "main", hangup = true }
[paths."/menu".menus.pin]
play = "nor-that"
collect = { min = 5, max = 4 }
[paths."/unknown"]
handler = "playbak"
[paths."/late"]
handler = "playback"
prompt = "welcom"
linger_ms = -1
[paths."/bot"]
handler = "bridge"
hold = "no-hold"
[paths."/say"]
handler = "say"
text = "Hi"
engine = "openai"
rate = 9
"""


async def test_all_kinds_of_mistakes_are_reported_at_once_and_none_twice(tmp_path: Path) -> None:
    menu = 'paths."/menu"'
    assert await told(tmp_path, ALL_AT_ONCE) == [
        "server.port: should be a whole number (it is 'x')",
        "audiosocket.ports.0: should be a port, 1 to 65535, in digits alone, such as 9000 (it is '0')",
        f'{menu}.framing: should be "auto", "pcm" or "message" (it is \'tcp\')',
        'prots: unknown setting (did you mean "prompts"?)',
        f"{menu}: menus.main.keys.2.hangup: should be true or false (it is 1)",
        f"{menu}: menus.main.keys.3: goes on in more than one way:"
        " give only one of a menu, webhook, transfer, actions and hangup",
        f'{menu}: menus.main.retry: unknown setting (did you mean "retries"?)',
        f"{menu}: menus.pin.collect: min 5 is more than max 4",
        f'{menu}: start: no menu "mian" (did you mean "main"?)',
        f'{menu}: menus.main.keys.1: no menu "salse"',
        'paths."/unknown".handler: no handler "playbak" (did you mean "playback"?): '
        f"{', '.join(HANDLERS)}, or module:Class",
        'paths."/late": linger_ms: should be 0 or more (it is -1)',
        'paths."/bot": url is missing',
        'paths."/say": rate: should be 2 or less (it is 9)',
        "voipbin.token: the environment variable N0T_THERE is not set, or empty",
        'paths."/say": speech.openai.token: no token is set, and OpenAI requires one',
        "audiosocket.ports.9000: no path /nope: there are /menu, /late, /bot, /say",
        f'{menu}: menus.main.play: no prompt "no-prompt"',
        f'{menu}: menus.main.keys.3.play: no prompt "nor-this"',
        f'{menu}: menus.pin.play: no prompt "nor-that"',
        'paths."/late": no prompt "welcom" (did you mean "welcome"?)',
        'paths."/bot": hold: no prompt "no-hold"',
    ]


@pytest.mark.parametrize("name", ["tokens", "allow", "lead"])
async def test_a_value_of_another_type_in_a_path_is_a_mistake(tmp_path: Path, name: str) -> None:
    (line,) = await told(tmp_path, f"{LATE}{name} = true")
    assert line.startswith(f'paths."/a".{name}: should be a')


# -- words -----------------------------------------------------------------------------------------

# Pydantic's errors by the kinds of schema that raise them, and by what a schema demands.
_ERRORS = {
    "str": ["string_type", "string_unicode"],
    "int": ["int_type", "int_parsing", "int_parsing_size", "int_from_float"],
    "float": ["float_type", "float_parsing", "finite_number"],
    "bool": ["bool_type", "bool_parsing"],
    "tuple": ["tuple_type"],
    "dict": ["dict_type"],
    "literal": ["literal_error"],
    "enum": ["enum"],
    "model": ["model_type", "model_attributes_type"],
    "model-fields": [MISSING, UNKNOWN, "invalid_key"],
    "tagged-union": ["union_tag_not_found", "union_tag_invalid"],
    "lax-or-strict": ["path_type"],
    **{f"function-{when}": ["value_error", "assertion_error"] for when in ("before", "after", "wrap", "plain")},
}
_DEMANDS = {
    "ge": "greater_than_equal",
    "gt": "greater_than",
    "le": "less_than_equal",
    "lt": "less_than",
    "pattern": "string_pattern_mismatch",
}
_SILENT = {  # schemas that raise no errors of their own, or, of Template, are only reached by what we made
    *("default", "nullable", "any", "definitions", "definition-ref", "json-or-python", "union", "model-field"),
    *("is-instance", "no-info", "with-info"),
}
_OURS = {"dataclass", "named-tuple"}  # values that only we make


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") in _OURS:
            return
        if isinstance(schema.get("type"), str):
            yield schema
        for key, below in schema.items():
            if key not in ("serialization", "metadata"):
                yield from _schemas(below)
    elif isinstance(schema, list | tuple):
        for below in schema:
            yield from _schemas(below)


@pytest.mark.parametrize("model", [Settings, AttachRequest, PressedKeys, WebhookAnswer, *HANDLERS.values()])
def test_every_error_that_there_can_be_is_told_in_plain_words(model: Any) -> None:
    possible: set[str] = set()
    for schema in _schemas(model.__pydantic_core_schema__):
        kind = schema["type"]
        possible.update(_ERRORS.get(kind, ()))
        assert kind in _ERRORS or kind in _SILENT, f"which errors does {kind} raise?"
        possible.update(error for key, error in _DEMANDS.items() if schema.get(key) is not None)
        for key, error in (("min_length", "too_short"), ("max_length", "too_long")):
            if schema.get(key) is not None:
                possible.add(f"string_{error}" if kind == "str" else error)
    assert possible - MESSAGES.keys() - {MISSING, UNKNOWN} == set()


def test_the_words_are_of_errors_that_pydantic_has_and_are_plain() -> None:
    assert MESSAGES.keys() - {"path_type"} <= set(
        get_args(ErrorType)
    )  # which pydantic raises as an error of its own
    assert not [words for words in MESSAGES.values() if "input" in words.lower()]


# -- shapes ----------------------------------------------------------------------------------------

SHAPES: list[Any] = [3, True, "x", [], [3], [[3]], {}, {"a": 1}, float("nan"), date(2020, 1, 1)]
NEEDED: dict[str, dict[str, Any]] = {
    "say": {"text": "Hi"},
    "hold-music": {"prompts": ["welcome"]},
    "playback": {"prompt": "welcome"},
    "tone": {"tone": "dial"},
    "bridge": {"url": "ws://x/"},
    "assistant": {"instructions": "Help."},
    "menu": {"menus": {"main": {"play": "welcome", "keys": {"1": {"hangup": True}}}}},
}


def _places(kind: Any, above: KeyPath = (), seen: frozenset[Any] = frozenset()) -> Iterator[KeyPath]:
    """Places that a table may have a value at, two entries for a list, a key for a table, and none in itself."""
    for each in union_members(kind):
        below: dict[str | int, Any] = {}
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in seen:
            below = {key: field.annotation for key, field in each.model_fields.items()}
        elif get_origin(each) is dict:
            below = {"1": get_args(each)[1]}
        elif get_origin(each) in (tuple, list):
            below = {0: get_args(each)[0]}
        for key, inner in below.items():
            yield (*above, key)
            yield from _places(inner, (*above, key), seen | {each})


def _filled(value: Any, place: KeyPath, shape: Any) -> Any:
    """A copy of values with a shape at a place."""
    if not place:
        return shape
    key, *rest = place
    if isinstance(key, int):
        return [_filled(None, tuple(rest), shape), "welcome", _filled(None, tuple(rest), shape)]
    table = value if isinstance(value, dict) else {}
    return table | {key: _filled(table.get(key), tuple(rest), shape)}


def _look_at(tables: dict[str, Any]) -> list[str]:
    """All that `check` says of tables, of the menus too."""
    settings, wrong, _ = validate_table(Settings, tables, suggest_key)
    settings.set_sources({}, tables, tables.get("paths", {}))
    configuration = Configuration.build(settings, "c", [mistake.line("c") for mistake in wrong])
    for route in configuration.table:
        list_transitions(getattr(route.validated.table, "menus", None))
    return [*configuration.problems, *requirements.missing_prompts(configuration.table, PromptSnapshot({}), "c")]


@pytest.mark.parametrize("name", HANDLERS)
def test_a_value_of_any_shape_at_any_key_of_a_path_is_right_or_told(name: str) -> None:
    needed = NEEDED.get(name, {})
    for place in _places(HANDLERS[name]):
        for shape in SHAPES:
            settings = _filled(needed, place, shape)
            lines = _look_at({"paths": {"/a": {"handler": name, **settings}}})
            if not lines:
                HANDLERS[name].model_validate(settings)
            assert not [line for line in lines if not line.startswith("c: ")]


@pytest.mark.parametrize("table", Settings.model_fields)
def test_a_value_of_any_shape_at_any_key_of_a_table_is_right_or_told(table: str) -> None:
    for place in _places(Settings.model_fields[table].annotation):
        for shape in SHAPES:
            tables = _filled({}, (table, *place), shape)
            if not _look_at(tables):
                Settings.model_validate(tables)


def test_entries_of_a_list_keep_their_numbers_while_others_are_left_out() -> None:
    prompts = [*range(12), {"say": "{"}, "a", {"say": "", "rate": 9}, {"say": 1}]
    told = [str(problem.key) for problem in validate_table(HANDLERS["playback"], {"prompts": prompts}).problems]
    assert told == [
        *(str(("prompts", n)) for n in range(12)),
        "('prompts', 12, 'say')",
        "('prompts', 14, 'rate')",
        "('prompts', 15, 'say')",
    ]
