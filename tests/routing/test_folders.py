"""The folders that a configuration writes into, tried out."""

from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.cli.findings import collect_findings
from mediaserver.routing.folders import why_unwritable

BUSY = """
[admin]
recordings = "file/of-requests"
[prompts]
directory = "prompts"
cache = "file/cache"
[paths."/record"]
handler = "record"
directory = "file/recordings"
[paths."/menu"]
handler = "menu"
directory = "file"
[paths."/menu".menus.main]
keys.1 = { record = true, hangup = true }
[paths."/recognise"]
handler = "recognise"
directory = "file"
file = "{id}.jsonl"
[paths."/analyse"]
handler = "analyse"
directory = "file"
file = "{id}.jsonl"
[paths."/assistant"]
handler = "assistant"
instructions = "x"
directory = "file"
file = "{id}.jsonl"
[paths."/fine"]
handler = "record"
directory = "deep/and/deeper"
"""
IDLE = """
[prompts]
directory = "prompts"
cache = "off"
[paths."/menu"]
handler = "menu"
directory = "file"
[paths."/menu".menus.main]
keys.1 = { hangup = true }
[paths."/recognise"]
handler = "recognise"
directory = "file"
[paths."/analyse"]
handler = "analyse"
directory = "file"
"""


async def unwritable(folder: Path, text: str) -> list[str]:
    (folder / "file").write_text("no folder")
    (folder / "prompts").mkdir()
    (folder / "config.toml").write_text(text)
    settings, problems = config.load(Path("config.toml"))
    findings = await collect_findings(settings, "c", problems, lambda done, total: None)
    assert findings.all_is_well is not bool(findings.problems or findings.unwritable)
    return findings.unwritable


async def test_each_folder_that_cannot_be_written_is_listed_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    why = "cannot be written: Not a directory"
    assert await unwritable(tmp_path, BUSY) == [
        f'c: paths."/record": directory: file/recordings {why}',
        *(f'c: paths."/{name}": directory: file {why}' for name in ("menu", "recognise", "analyse", "assistant")),
        f"c: admin.recordings: file/of-requests {why}",
        f"c: prompts.cache: file/cache {why}",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "file", "prompts"]


async def test_a_folder_that_nothing_is_written_into_may_be_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await unwritable(tmp_path, IDLE) == []


async def test_a_prompt_folder_that_requests_may_change_has_to_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    editable = '[prompts]\ndirectory = "file/prompts"\neditable = true\ncache = "off"\n'
    assert await unwritable(tmp_path, editable) == [
        "c: prompts.directory, which prompts.editable changes: file/prompts cannot be written: Not a directory"
    ]


def test_trying_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    assert why_unwritable(tmp_path) == why_unwritable(tmp_path / "a/b/c") == ""
    assert list(tmp_path.iterdir()) == []
    assert why_unwritable(Path("a\0b")).startswith("cannot be written: ")
    (tmp_path / "loop").symlink_to("loop")
    assert why_unwritable(tmp_path / "loop/x") == "cannot be written: Too many levels of symbolic links"
