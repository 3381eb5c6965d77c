"""Files of handlers: names, lines, and never outside of their folder."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.call import FileModes, Stream
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common import files
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        (Stream("s", "/a", "p"), "s-s-a"),
        (Stream("s", "/a", "p", call="theirs"), "theirs-s-a"),
        (Stream("s", "/a", "p", resource="calls/1", call="theirs"), "theirs-1-calls"),
        (Stream("s", "/a", "p", resource="calls/1"), "1-1-calls"),
        (Stream("s", "/ä b/c", "p", call="../x:y."), "x-y-s-ä-b-c"),
    ],
)
def test_every_field_has_its_value(stream: Stream, name: str) -> None:
    assert files.expand_template(Path("d"), "{call}-{id}-{resource}.wav", stream) == Path("d", f"{name}.wav")


def test_a_name_may_have_the_time_to_the_millisecond() -> None:
    before = datetime.now(UTC)
    name = files.expand_template(Path(), "{time}", Stream("s", "/", "p")).name
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z", name)
    at = datetime.strptime(name, "%Y%m%dT%H%M%S.%f%z")
    assert before - timedelta(milliseconds=1) <= at <= datetime.now(UTC)


def test_documents_are_lines_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a/b/c.jsonl"
    files.append_json_lines(tmp_path, path, [{"n": 1, "text": "a\nb"}, {"n": 2}])
    files.append_json_lines(tmp_path, path, [])
    files.append_json_lines(tmp_path, path, [{"n": 3}])
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_no_line_is_written_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        files.append_json_lines(tmp_path / "in", tmp_path / "in/link/a.jsonl", [{}])
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize("template", ["{id}", "a/{id}-{time}.wav", "a.b..c", "{resource}/{stream}/{call}"])
def test_templates_of_names_within_the_folder(template: str) -> None:
    assert files.validate_template(template) == template


@pytest.mark.parametrize("template", ["{}", "{0}", "{id.x}", "{id[0]}", "a\nb", ".", "a/..", "}"])
def test_templates_of_names_outside_of_the_folder_are_mistakes(template: str) -> None:
    with pytest.raises(ValueError, match=re.escape(template) if template != "a\nb" else "must name"):
        files.validate_template(template)


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60),
        ("x" + "ä" * 30, "x" + "ä" * 29),  # never half a character
        ("a/../b\n\tc", "a-..-b-c"),
        (".hidden", "hidden"),
        ("-.-", "none"),
        ("a@b+c_d", "a@b+c_d"),
    ],
)
def test_a_value_in_a_name_is_short_and_leads_nowhere(value: str, segment: str) -> None:
    assert files.expand_template(Path(), "{stream}", Stream(value, "/", "p")).name == segment


def test_lines_have_the_permissions_of_the_settings_and_so_have_new_folders(tmp_path: Path) -> None:
    files.append_json_lines(tmp_path, tmp_path / "a/b.jsonl", [{"a": 1}], FileModes(0o600, 0o700))
    assert (tmp_path / "a/b.jsonl").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


@in_virtual_time
async def test_the_first_failure_to_write_a_file_is_told_and_no_other_error_is_taken_for_one(
    loop: VirtualLoop,
) -> None:
    caller = Caller(loop, library_of({}))
    writer = files.CallFileWriter(caller.session.call, EventKind.REPORT_FAILED)
    written: list[object] = []

    def fail(error: Exception) -> None:
        raise error

    with capture_logs() as logged:
        await writer.write(Path("a"), written.append, 1)
        assert (written, writer.failed, logged) == ([1], False, [])
        await writer.write(Path("b"), fail, OSError(28, "No space left on device"))
        await writer.write(Path("c"), fail, OSError(5, "Input/output error"))
    assert writer.failed
    assert caller.backend.events_of("report.failed") == [{"file": "b", "error": "No space left on device"}]
    assert [(line["event"], line["log_level"], line["file"], line["stream"]) for line in logged] == [
        ("report not written", "error", "b", "id")
    ]
    with pytest.raises(LookupError):
        await writer.write(Path("d"), fail, LookupError())
