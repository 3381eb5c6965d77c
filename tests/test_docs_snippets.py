"""The snippets of the documentation: commands that there are, configurations that load, code that runs."""

import ast
import hmac
import http.client
import http.server
import json
import re
import shlex
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import typer.main
from yarl import URL

from mediaserver import config
from mediaserver.cli import main
from mediaserver.config.settings import DEFAULT_PATHS
from mediaserver.errors import RefusedError
from mediaserver.events import signature
from mediaserver.events.kinds import EventKind
from mediaserver.routing.access import Access
from tests.handlers.test_handlers import hear
from tests.pages import PAGES, README, ROOT, blocks, page, section, spans
from tests.project import cache_in, mistakes, without_missing_engine
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE
from tests.virtual import VirtualLoop, in_virtual_time

HANDLER, FLOW, ACCESS = "docs/developers/handlers.md", "docs/flow-builders/flow.md", "docs/operators/access.md"
EVENTS = "docs/developers/events.md"
COMMANDS = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FOLDERS = "benchmarks|deploy|docs|examples|findings|prompts|scripts|tests"


def snippets(language: str) -> list[Any]:
    """All of one language, each with the page that it stands in."""
    return [
        pytest.param(code, id=f"{path}-{number}")
        for path in PAGES
        for number, code in enumerate(blocks(page(path), language))
    ]


def commands() -> list[Any]:
    """Every command of the documentation, with what it writes or pipes to, or runs after it, apart."""
    found = []
    for path in PAGES:
        for code in blocks(page(path), "sh"):
            for line in code.replace("\\\n", " ").splitlines():
                words = shlex.split(line.replace("$(", "( "), comments=True)
                while words:
                    end = next((n for n, word in enumerate(words) if word in ("&&", "|", "&", ">")), len(words))
                    if "[OPTIONS]" not in words[:end]:  # a usage is no command
                        found.append(pytest.param(words[:end], id=f"{path}: {' '.join(words[:end])}"))
                    words = words[end + 1 :]
    return found


# -- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", commands())
def test_commands_are_as_they_are_shown(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of ours take these arguments; targets of make and files of the repository are there."""
    for word in words:
        if re.match(rf"({FOLDERS})/\w", word) and word != "prompts/thanks.wav":
            assert (ROOT / word).exists() or words[0] == "cp", word
    ours = (
        n for n, word in enumerate(words[:-1]) if Path(word).name == "mediaserver" and words[n + 1] in COMMANDS
    )
    command = next(ours, None)
    assert command is not None or Path(words[0]).name != "mediaserver", f"there is no command {words[1]}"
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
    elif command is not None:
        monkeypatch.chdir(tmp_path)
        for name in ("caller.wav", "question.wav"):
            write_wav(tmp_path / name, speechlike(160))
        (tmp_path / "config.toml").write_text("")
        name, *arguments = [word.replace("/etc/mediaserver/", "") for word in words[command + 1 :]]
        COMMANDS[name].make_context(name, arguments).close()


@pytest.mark.parametrize("path", PAGES)
def test_commands_within_lines_are_there(path: str) -> None:
    for span in spans(page(path)):
        if found := re.match(r"(?:\S*/)?mediaserver (--)?([a-z-]+)", span):
            assert found[2] in (COMMANDS if not found[1] else ("install-completion", "help", "version")), span
        if found := re.match(r"(?:[A-Z_]+=\S+ )?make ([a-z-]+)", span):
            assert found[1] in TARGETS, span


# -- settings ----------------------------------------------------------------------------------------------------

SETTINGS = config.load()[0].model_dump()
PLACES = sorted(set(SETTINGS) - {"paths"})


def is_setting(*keys: str) -> bool:
    """Whether the settings have this key of this table."""
    found = SETTINGS
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True


@pytest.mark.parametrize("path", PAGES)
def test_settings_that_are_named_exist(path: str) -> None:
    text, events = page(path), {str(kind) for kind in EventKind}  # recognition.failed is an event, and no key
    for name in set(re.findall(r"\bMEDIASERVER_([A-Z_]*[A-Z])\b", text)) - {"CONFIG"}:
        assert is_setting(*name.lower().split("__")), name
    for span in spans(text):
        found = re.fullmatch(rf"((?:{'|'.join(PLACES)})\.[a-z_.]+)(?: = .*)?", span)
        if found and span not in events:
            assert is_setting(*found[1].split(".")), span


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the configurations name: prompts, which are decoded once, and the module of a handler."""
    place = tmp_path_factory.mktemp("snippets")
    for name in ("welcome", "beep", "music/hold"):
        (place / f"prompts/{name}.wav").parent.mkdir(parents=True, exist_ok=True)
        write_wav(place / f"prompts/{name}.wav", speechlike(160))
    greeting = next(block for block in blocks(page(HANDLER), "python") if "class Greeting" in block)
    (place / "greeting.py").write_text(greeting)
    return place


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all configurations share."""
    return cache_in(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("code", snippets("toml"))
async def test_configurations_load(code: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `check` loads them, with the prompts and secrets that they name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    for name in re.findall(r"env:(\w+)", code):
        monkeypatch.setenv(name, "a secret")
    # Certificates and a program that speaks, which the machine that runs this need not have.
    code = re.sub(r'^(certificate|key) = "/etc/.*\n', "", code, flags=re.MULTILINE)
    code = code.replace("espeak-ng", sys.executable)
    (folder / "config.toml").write_text(code)
    assert without_missing_engine(await mistakes(Path("config.toml"))) == []


# -- JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", snippets("json"))
def test_json_is_json(code: str) -> None:
    json.loads(code.replace(", …}", "}"))


def test_the_flow_is_json_names_a_default_path_and_holds_the_call() -> None:
    for path in (README, FLOW):
        flow = json.loads(blocks(page(path), "json")[0])
        kinds = [action["type"] for action in flow["actions"]]
        media = flow["actions"][kinds.index("external_media_start")]["option"]
        assert media["encapsulation"] == "audiosocket"
        assert "/" + media["url"].split("/", 3)[3] in DEFAULT_PATHS
        assert kinds[kinds.index("external_media_start") + 1] == "sleep"


def test_both_forms_of_the_flow_action_are_shown_and_the_second_is_complete() -> None:
    """Asterisk refuses media without a direction, and the platform's default format is µ-law."""
    tutorial, platform = (json.loads(block) for block in blocks(page(FLOW), "json")[:2])
    assert "url" in tutorial["actions"][1]["option"]
    option = platform["option"]
    assert option.keys() == {
        "external_host",
        "encapsulation",
        "transport",
        "format",
        "direction_listen",
        "direction_speak",
    }
    assert (option["encapsulation"], option["transport"], option["format"]) == ("audiosocket", "tcp", "slin")


# -- Python ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", snippets("python"))
def test_python_is_python(code: str) -> None:
    compile(code, "a snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@in_virtual_time
async def test_the_example_handler_does_what_its_page_says(loop: VirtualLoop) -> None:
    scope: dict = {}
    code = next(block for block in blocks(page(HANDLER), "python") if "class Greeting" in block)
    exec(code.replace('"beep"', '"odd"'), scope)  # noqa: S102 - the reader is told to run it
    heard, end = await hear(loop, scope["Greeting"](pause=0.49), 3000)  # between two ticks
    assert len(heard) == (10 + 25 + 7) * 160
    assert not heard[10 * 160 : 35 * 160].any()
    assert end is not None
    assert end.code == 1000


def named_in_rows(heading: str) -> set[str]:
    """What the first column of the table of a section names in code."""
    rows = re.findall(r"^\| (`.*?) \| ", section(HANDLER, heading), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)", row)} - {"call"}


def test_a_handler_of_one_s_own_asks_a_call_for_what_there_is() -> None:
    from mediaserver.handlers import Call

    names = named_in_rows("## What a handler has of a call")
    assert {"play", "hang_up", "answer", "silence"} <= names
    assert not names - {*dir(Call), "speech", "prompts"}  # these two are set when it is made


def test_a_handler_of_one_s_own_tells_the_server_what_it_asks_for() -> None:
    from mediaserver.handlers import Handler

    methods = set(vars(Handler)) - {"run", "missing_prompts", "spoken_url_text"}
    public = {
        name for name in methods if callable(getattr(Handler, name)) and not name.startswith(("_", "model_"))
    }
    assert named_in_rows("## What a handler may tell the server") == public


def test_the_attributes_of_a_stream_that_a_handler_is_told_of_are_there() -> None:
    from mediaserver.handlers import Stream

    (row,) = re.findall(r"^\| `stream` \| (.*)", page(HANDLER), re.MULTILINE)
    stated = set(re.findall(r"`(\w+)`", row)) - {"token"}
    assert stated == {"id", "path", "peer", "call", "resource", "variables", "query"}
    assert stated <= set(dir(Stream))


def test_a_backend_signs_links_as_the_docs_say() -> None:
    (snippet,) = (block for block in blocks(page(ACCESS), "python") if "urlencode" in block)
    names: dict[str, Any] = {"hmac": hmac, "time": time, "urlencode": urlencode, "token": "a token"}
    exec(snippet, names)  # noqa: S102 - our own documentation
    link = URL(f"/play/welcome?repeat=2&expires={names['expires']}&sig={names['sig']}")
    Access(tokens=("a token",)).authorize("192.0.2.1", link, "", time.time())
    with pytest.raises(RefusedError):
        Access(tokens=("another",)).authorize("192.0.2.1", link, "", time.time())


@pytest.mark.parametrize(("secret", "age", "genuine", "fresh"), [("s", 0, True, True), ("x", 900, False, False)])
def test_a_backend_verifies_events_as_the_docs_say(secret: str, age: int, genuine: bool, fresh: bool) -> None:
    timestamp, body = str(int(time.time()) - age), b'{"type": "digits"}'
    request = SimpleNamespace(headers={"X-Mediaserver-Signature": signature("s", timestamp, body)})
    (snippet,) = (block for block in blocks(page(EVENTS), "python") if "hmac" in block)
    names: dict[str, Any] = {"hmac": hmac, "time": time, "request": request, "body": body}
    exec(snippet, names | {"secret": secret, "timestamp": timestamp}, found := {})  # noqa: S102 - our own
    assert (found["genuine"], found["fresh"]) == (genuine, fresh)


def test_the_program_of_the_docs_prints_events(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = (block for block in blocks(page(EVENTS), "python") if "http.server" in block)
    names: dict[str, Any] = {"__name__": "printer"}
    exec(snippet, names)  # noqa: S102 - our own documentation
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), names["Printer"]) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
            for body in ('{"type": "digits"}', '{"type": "stream.ended"}'):
                connection.request("POST", "/", body)
                assert connection.getresponse().status == 204
            connection.close()
        finally:
            server.shutdown()
    assert capsys.readouterr() == ('{"type": "digits"}\n{"type": "stream.ended"}\n', "")
