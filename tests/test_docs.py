"""What the README says, held against what there is."""

import asyncio
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner
from yarl import URL

from mediaserver import config
from mediaserver.call import EndReason, InboundProblem
from mediaserver.cli import main
from mediaserver.config.settings import DEFAULT_PATHS
from mediaserver.errors import RefusedError
from mediaserver.handlers.table import HANDLERS
from mediaserver.playout.decoding.formats import ALAW, EXTENSIONS, LINEAR, MULAW
from mediaserver.routing.access import Access
from mediaserver.server.http.refusals import REASONS
from mediaserver.server.server import Server
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import Encapsulation, Wire, WireSettings
from tests.handlers.test_handlers import hear
from tests.project import ROOT
from tests.sound import speechlike, write_wav
from tests.virtual import VirtualLoop, in_virtual_time

README = (ROOT / "README.md").read_text()
WIRES = (ROOT / "docs" / "wires.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced code of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_flow_is_json_names_a_default_path_and_holds_the_call() -> None:
    flow = json.loads(blocks("json")[0])
    kinds = [action["type"] for action in flow["actions"]]
    media = flow["actions"][kinds.index("external_media_start")]["option"]
    assert media["encapsulation"] == "audiosocket"
    assert "/" + media["url"].split("/", 3)[3] in DEFAULT_PATHS
    assert kinds[kinds.index("external_media_start") + 1] == "sleep"


def test_the_handlers_table_has_every_handler_and_setting() -> None:
    section = README.split("\n## Handlers\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| .*? \| (.*) \|$", section, re.MULTILINE))
    for name, handler in HANDLERS.items():
        for setting in handler.model_fields:
            assert f"`{setting}`" in rows[name], f"{name}: {setting}"


@in_virtual_time
async def test_the_example_handler_does_what_the_readme_says(loop: VirtualLoop) -> None:
    scope: dict = {}
    code = next(block for block in blocks("python") if "class Greeting" in block)
    exec(code.replace('"beep"', '"odd"'), scope)  # noqa: S102 - the reader is told to run it
    heard, end = await hear(loop, scope["Greeting"](pause=0.49), 3000)  # between two ticks
    assert len(heard) == (10 + 25 + 7) * 160
    assert not heard[10 * 160 : 35 * 160].any()
    assert end is not None
    assert end.code == 1000


def test_commands_and_options_of_the_readme_exist() -> None:
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    call = runner.invoke(main.app, ["call", "--help"]).output
    for option in re.findall(r"^\| `(--[a-z]+)", README, re.MULTILINE):
        assert option in call
    listed = runner.invoke(main.app, ["--help"]).output
    for command in re.findall(r"`mediaserver (\w+)", README):
        assert command in listed


@pytest.mark.parametrize("reason", EndReason)
def test_every_reason_is_named(reason: EndReason) -> None:
    assert f"`{reason}`" in README


def test_every_refusal_stands_in_the_table_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", README, re.MULTILINE)
    told = {reason: int(status) for status, row in rows for reason in re.findall(r"`([a-z-]+)`", row)}
    assert told == REASONS


def test_a_backend_signs_links_as_the_readme_says() -> None:
    (snippet,) = (block for block in blocks("python") if "urlencode" in block)
    names: dict[str, Any] = {"hmac": hmac, "time": time, "urlencode": urlencode, "token": "a token"}
    exec(snippet, names)  # noqa: S102 - our own README
    link = URL(f"/play/welcome?repeat=2&expires={names['expires']}&sig={names['sig']}")
    Access(tokens=("a token",)).check("192.0.2.1", link, "", time.time())
    with pytest.raises(RefusedError):
        Access(tokens=("another",)).check("192.0.2.1", link, "", time.time())


def test_every_test_that_shows_a_promise_exists() -> None:
    section = README.split("\n## What is promised, and what shows it\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| (`.*`) \|$", section, re.MULTILINE)
    assert rows
    for row in rows:
        folder = Path()
        for named in re.findall(r"`([^`]+)`", row):
            if named.startswith("make "):
                assert f"\n{named.removeprefix('make ')}:" in (ROOT / "Makefile").read_text()
                continue
            path = Path(named) if "/" in named else folder / named
            folder = path.parent
            assert (ROOT / path).is_file(), named


def test_the_metrics_table_has_every_metric(tmp_path: Path) -> None:
    async def exported() -> Metrics:
        server = Server(config.load()[0], "defaults")
        try:
            return server.engine.metrics
        finally:
            await server.close()

    families = [family.name for family in asyncio.run(exported()).registry.collect()]
    for name in filter(lambda name: not name.startswith("process_"), families):
        tail = name.removeprefix("mediaserver_").removeprefix("sessions_")
        assert re.search(rf"`(mediaserver_|…_)(sessions_)?{tail}(_total|_info)?[`{{]", README), name


MENU_PATH = """
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "welcome"
keys.1 = { hangup = true }
"""


def test_the_keys_of_check_s_json_are_those_there_are(tmp_path: Path) -> None:
    """And of the entries of its lists, where these are tables."""
    write_wav(tmp_path / "prompts/welcome.wav", speechlike(160))
    (tmp_path / "c.toml").write_text(MENU_PATH)
    told = json.loads(
        CliRunner().invoke(main.app, ["check", "--json", "--config", str(tmp_path / "c.toml")]).stdout
    )
    section = README.split("\n`mediaserver check` loads")[1].split("| key | |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [re.findall("`([a-z_]+)`", row) for row in section.splitlines()]
    assert {row[0] for row in rows} == told.keys()
    inner = {"paths": told["paths"], "menus": told["menus"]["/menu"], "prompts": told["prompts"]}
    documented = {row[0]: row[1:] for row in rows if row[0] in inner}
    assert documented == {key: list(entries[0]) for key, entries in inner.items()}


def test_the_extensions_told_are_those_there_are() -> None:
    rows = re.findall(r"^\| (`\..*?) \|", README, re.MULTILINE)
    told = set(re.findall(r"`(\.[a-z0-9]+)`", "".join(rows)))
    assert told <= EXTENSIONS
    assert told >= LINEAR | MULAW | ALAW | {".wav", ".mp3", ".ogg", ".flac", ".m4a"}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("problem", InboundProblem)
def test_every_problem_of_inbound_media_is_explained(problem: InboundProblem) -> None:
    section = WIRES.split("## `inbound`")[1].split("\n## ")[0]
    assert f"`{problem}`" in section


def test_both_forms_of_the_flow_action_are_shown_and_the_second_is_complete() -> None:
    """Asterisk refuses media without a direction, and the platform's default format is µ-law."""
    tutorial, platform = (json.loads(block) for block in blocks("json")[:2])
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


def test_the_table_of_what_the_platform_takes_is_what_we_send() -> None:
    rows = dict(re.findall(r"^\| `(audiosocket|sln|rtp)` \| .*? \| (.*) \|$", WIRES, re.MULTILINE))
    payloads: dict[str, bytes] = {}
    for encapsulation in Encapsulation:
        wire = Wire(WireSettings(encapsulation), random_key=lambda: bytes(4))
        (message,) = wire.messages([wire.encoding.silence])
        payloads[encapsulation] = message[8:]
    assert (payloads["audiosocket"][:3], len(payloads["audiosocket"])) == (b"\x10\x01\x40", 323)
    assert "`10 01 40`, then 320 bytes of linear PCM" in rows["audiosocket"]
    assert len(payloads["sln"]) == 320
    assert "320 bytes of linear PCM" in rows["sln"]
    assert (payloads["rtp"][1], len(payloads["rtp"])) == (96, 332)
    assert "320 bytes of *little-endian* linear PCM" in rows["rtp"]


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", "".join(blocks("sh"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
