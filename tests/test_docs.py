"""Tables of the documentation, held against the code that they speak of."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import typer.main
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from typer.testing import CliRunner

from mediaserver import config
from mediaserver.audio.detection.call_progress import CallTone
from mediaserver.call import EndReason, InboundProblem
from mediaserver.cli import main
from mediaserver.handlers import Handler
from mediaserver.handlers.table import HANDLERS
from mediaserver.playout.decoding.formats import EXTENSIONS, RAW
from mediaserver.server.http.refusals import REFUSALS
from mediaserver.server.server import Server
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from mediaserver.wire.wire import Wire
from tests.pages import README, ROOT, page, section
from tests.sound import speechlike, write_wav

HANDLERS_PAGE = "docs/flow-builders/handlers.md"
MONITORING, TROUBLE = "docs/operators/monitoring.md", "docs/operators/troubleshooting.md"
WIRES = "docs/topics/wire-formats.md"
# Where each handler is explained, setting by setting.
EXPLAINED = {
    "playback": "flow-builders/prompts.md",
    "say": "flow-builders/speech.md",
    "hold-music": "flow-builders/hold-music.md",
    "tone": "flow-builders/hold-music.md",
    "silence": "flow-builders/hold-music.md",
    "noise": "flow-builders/hold-music.md",
    "record": "flow-builders/recording.md",
    "echo": "flow-builders/analysis.md",
    "menu": "flow-builders/menus.md",
    "bridge": "developers/bots.md",
    "recognise": "flow-builders/recognition.md",
    "assistant": "flow-builders/assistant.md",
    "analyse": "flow-builders/analysis.md",
}


def test_the_handlers_table_has_every_handler_and_setting() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| .*? \| (.*) \|$", page(HANDLERS_PAGE), re.MULTILINE))
    assert rows.keys() == HANDLERS.keys()
    for name, handler in HANDLERS.items():
        for setting in handler.model_fields.keys() - Handler.model_fields.keys():
            assert f"`{setting}`" in rows[name], f"{name}: {setting}"


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_s_page_explains_every_setting(name: str) -> None:
    text = page(f"docs/{EXPLAINED[name]}")
    named = {*re.findall(r"`(\w+)`", text), *re.findall(r"^(\w+) = ", text, re.MULTILINE)}
    assert not HANDLERS[name].model_fields.keys() - Handler.model_fields.keys() - named


def test_the_settings_of_all_handlers_are_explained_where_their_subject_is() -> None:
    text = section("docs/flow-builders/prompts.md", "## Background sound")
    assert Handler.model_fields.keys() - set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {"tones"}
    tones = section("docs/flow-builders/analysis.md", "## Tones of the caller's side")
    assert "`tones = true`" in tones
    assert set(re.findall(r"^\| `([a-z-]+)` \|", tones, re.MULTILINE)) == {"tone", *CallTone}


def test_the_readme_s_table_has_every_handler_links_to_its_page_and_says_whether_it_listens() -> None:
    row = r"^\| \[`([a-z-]+)`\]\(docs/([^)#]+)\S*\) \| .* \| (yes|no)\b.*\|$"
    rows = re.findall(row, section(README, "## Handlers"), re.MULTILINE)
    assert {name: path for name, path, _ in rows} == EXPLAINED
    needs = re.findall(r"^\| `([a-z-]+)` \| .*? \| (yes|no)\b", page(HANDLERS_PAGE), re.MULTILINE)
    assert [(name, listens) for name, _, listens in rows] == needs


def test_the_options_of_call_are_all_in_its_table() -> None:
    call = typer.main.get_command(main.app).commands["call"]  # type: ignore[attr-defined]
    there = {name for option in call.params for name in option.opts if name.startswith("--")}
    told = re.findall(r"^\| `(--[a-z]+)", page("docs/developers/trying-out.md"), re.MULTILINE)
    assert sorted(told) == sorted(there - {"--help"})


def test_the_options_of_simulate_are_all_in_its_table() -> None:
    simulate = typer.main.get_command(main.app).commands["simulate"]  # type: ignore[attr-defined]
    there = {name for option in simulate.params for name in option.opts if name.startswith("--")}
    told = re.findall(r"^\| `(--[a-z]+)", page("docs/flow-builders/simulate.md"), re.MULTILINE)
    assert sorted(told) == sorted(there - {"--help", "--fetch"})


def test_every_reason_why_a_stream_ends_is_named() -> None:
    rows = re.findall(r"^\| (`.*`) \|", section(TROUBLE, "## Why a stream ended"), re.MULTILINE)
    told = [reason for row in rows for reason in re.findall(r"`([a-z-]+)`", row)]
    assert sorted(told) == sorted(["reason", *map(str, EndReason)])


def test_every_refusal_stands_in_the_table_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| \S.* \| \S.* \|$", page(TROUBLE), re.MULTILINE)
    assert {reason: int(status) for status, reason in rows} == {reason: reason.status for reason in REFUSALS}
    assert len(rows) == len(REFUSALS)


def test_every_test_that_shows_a_promise_exists() -> None:
    promises = section("docs/developers/testing.md", "## What is promised, and what shows it")
    rows = re.findall(r"^\| [^|]+ \| (`.*`) \|$", promises, re.MULTILINE)
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


def families() -> list[Metric]:
    """All metrics of a server."""

    async def exported() -> Metrics:
        server = Server(config.load()[0], "defaults")
        try:
            return server.engine.metrics
        finally:
            await server.close()

    return list(asyncio.run(exported()).registry.collect())


def samples(name: str) -> list[Sample]:
    """What a metric tells from the start on."""
    return [sample for family in families() if family.name == name for sample in family.samples]


def test_the_metrics_table_has_every_metric() -> None:
    names = [family.name for family in families()]
    for name in filter(lambda name: not name.startswith("process_"), names):
        tail = name.removeprefix("mediaserver_").removeprefix("sessions_")
        assert re.search(rf"`(mediaserver_|…_)(sessions_)?{tail}(_total|_info)?[`{{]", page(MONITORING)), name


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
    text = section("docs/operators/configuration.md", "### `check --json`")
    table = text.split("| key | |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [re.findall("`([a-z_]+)`", row) for row in table.splitlines()]
    assert {row[0] for row in rows} == told.keys()
    inner = {"paths": told["paths"], "menus": told["menus"]["/menu"], "prompts": told["prompts"]}
    documented = {row[0]: row[1:] for row in rows if row[0] in inner}
    assert documented == {key: list(entries[0]) for key, entries in inner.items()}


def test_the_extensions_told_are_those_there_are() -> None:
    rows = re.findall(r"^\| (`\..*?) \|", page("docs/flow-builders/prompts.md"), re.MULTILINE)
    told = set(re.findall(r"`(\.[a-z0-9-]+)`", "".join(rows)))
    assert told <= EXTENSIONS
    assert told >= set(RAW) | {".wav", ".mp3", ".ogg", ".flac", ".m4a"}


@pytest.mark.parametrize("problem", InboundProblem)
def test_every_problem_of_inbound_media_is_explained(problem: InboundProblem) -> None:
    assert f"`{problem}`" in section(WIRES, "## `inbound`: the codec of what is heard")


def test_the_table_of_what_the_platform_takes_is_what_we_send() -> None:
    rows = dict(
        re.findall(
            r"^\| `(audiosocket|sln|rtp)` \| .*? \| (.*) \|$", section(WIRES, "## `media_stream`"), re.MULTILINE
        )
    )
    payloads: dict[str, bytes] = {}
    for encapsulation in Encapsulation:
        wire = Wire(WireSettings(encapsulation), dialled=True)
        (message,) = wire.messages([wire.encoding.silence])
        payloads[encapsulation] = message[4:]
    assert (payloads["audiosocket"][:3], len(payloads["audiosocket"])) == (b"\x10\x01\x40", 323)
    assert "`10 01 40`, then 320 bytes of linear PCM" in rows["audiosocket"]
    assert len(payloads["sln"]) == 320
    assert "320 bytes of linear PCM" in rows["sln"]
    assert (payloads["rtp"][1], len(payloads["rtp"])) == (96, 332)
    assert "320 bytes of *little-endian* linear PCM" in rows["rtp"]


def test_every_kind_of_a_peer_s_fault_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", page("docs/operators/limits.md"), re.MULTILINE)
    kinds = {sample.labels["kind"] for sample in samples("mediaserver_peer_faults")}
    assert {*rows} - {"kind"} == kinds


def test_the_packages_are_all_in_the_architecture() -> None:
    """With every name that may be imported from `mediaserver` and holds modules."""
    rows = re.findall(r"^\| `([a-z]+)` \|", section("docs/topics/architecture.md", "## Packages"), re.MULTILINE)
    assert sorted(rows) == sorted(path.parent.name for path in (ROOT / "mediaserver").glob("*/__init__.py"))


def test_the_alerts_and_the_dashboard_are_where_the_docs_say() -> None:
    for file in ("deploy/alerts.yaml", "deploy/grafana-dashboard.json"):
        assert file in page(MONITORING)
        assert (ROOT / file).is_file()
