"""The two files of a transcript: lines of JSON, and captions. Both are whole after every write."""

import asyncio
import itertools
import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from mediaserver.call import DEFAULT_MODES, FileModes
from mediaserver.handlers.common.transcript import (
    Caption,
    Line,
    Speaker,
    Transcript,
    TranscriptFile,
    webvtt_cue,
)
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"


def captions(text: str) -> list[tuple[float, float, str]]:
    """The cues of a WebVTT file; fails where it is none (W3C, section 4.1)."""
    head, *blocks = text.split("\n\n")
    assert head == "WEBVTT"
    assert blocks.pop() == ""
    found = []
    for block in blocks:
        timing, *lines = block.split("\n")
        match = re.fullmatch(f"{TIME} --> {TIME}", timing)
        assert match is not None, timing
        hours = [int(each) for each in match.groups()]
        start, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (hours[:4], hours[4:]))
        assert start < end
        assert lines
        assert not any("-->" in line or "<" in line or re.search("&(?!amp;|lt;|gt;)", line) for line in lines)
        found.append((start, end, "\n".join(lines)))
    assert all(one[0] <= other[0] for one, other in pairwise(found))
    return found


def line(text: str, start: float = 1.0, end: float = 2.0) -> Line:
    return Line({"text": text}, Caption(start, end, text))


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine")
    (tmp_path / "a-1.vtt").write_text("mine")
    for _ in range(2):
        TranscriptFile(tmp_path, tmp_path / "a.jsonl").append([line("hello")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a-1.vtt", "a-2.jsonl", "a-2.vtt", "a-3.jsonl", "a-3.vtt", "a.jsonl"),
    ]
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "a-1.vtt").read_text() == "mine"


def test_where_no_captions_can_be_there_are_no_lines_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are made; a name without its captions is left free, and the failure is told."""
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/a.vtt").symlink_to(tmp_path / "nowhere/a.vtt")  # taken, and leads nowhere
    TranscriptFile(tmp_path, tmp_path / "deep/er/a.jsonl").append([line("hello")])
    TranscriptFile(tmp_path, tmp_path / "new/er/a.jsonl").append([line("hello")])
    assert sorted(path.name for path in (tmp_path / "deep/er").iterdir()) == ["a-1.jsonl", "a-1.vtt", "a.vtt"]
    assert sorted(path.name for path in (tmp_path / "new/er").iterdir()) == ["a.jsonl", "a.vtt"]
    long = "x" * 250  # with .jsonl it is too long for a name already, with .vtt it is not
    with pytest.raises(OSError, match="File name too long"):
        TranscriptFile(tmp_path, tmp_path / f"{long}.jsonl").append([line("hello")])


def test_a_transcript_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    with pytest.raises(PermissionError):
        TranscriptFile(tmp_path / "in", tmp_path / "in/link/a.jsonl").append([line("hello")])
    assert not list((tmp_path / "out").iterdir())


def test_a_line_that_does_not_fit_on_a_full_disk_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        if at > 40:
            raise OSError(28, "No space left on device")
        return written(file, data[:20], at)

    transcript = TranscriptFile(tmp_path, tmp_path / "a.jsonl")
    transcript.append([line("one")])
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        transcript.append([line("two" * 30, 3.0, 4.0)])
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [{"text": "one"}]
    assert len(captions((tmp_path / "a.vtt").read_text())) == 1


def test_hours_and_empty_times_are_captions_too() -> None:
    assert captions("WEBVTT\n\n" + webvtt_cue(3599.9996, 3599.9, "x")) == [(3600.0, 3600.001, "x")]
    assert captions("WEBVTT\n\n" + webvtt_cue(360_000.5, 360_001, "a\n\nb --> c")) == [
        (360_000.5, 360_001.0, "a b --&gt; c")
    ]


def test_captions_are_in_the_order_of_their_starts(tmp_path: Path) -> None:
    """An apology within an answer is a line before the answer, which began earlier. WebVTT wants the order."""
    silent = Line({"text": "not heard"})
    transcript = TranscriptFile(tmp_path, tmp_path / "a.jsonl")
    transcript.append([line("sorry", 4.0, 5.0), silent])
    transcript.append([line("an answer", 1.0, 6.0), line("next", 7.0, 8.0)])
    assert captions((tmp_path / "a.vtt").read_text()) == [
        (4.0, 5.0, "sorry"),
        (4.0, 6.0, "an answer"),
        (7.0, 8.0, "next"),
    ]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 4


# -- the transcript of a call ----------------------------------------------------------------------


@in_virtual_time
async def test_a_line_has_what_was_said_and_its_caption_what_was_heard_of_it(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    call = Caller(loop, library_of({})).session.call
    transcript = Transcript(call, tmp_path, "{id}.jsonl", FileModes(0o600, 0o700))
    times = {"start_s": 1.0, "end_s": 2.0}
    transcript.add(Speaker.CALLER, {"text": "Hello.", **times})
    transcript.add(Speaker.ASSISTANT, {"text": "Hello there.", "heard": "Hello", **times})
    transcript.add(Speaker.ASSISTANT, {"text": "Not heard.", "heard": "", **times})
    transcript.add_failure({"why": "no voice"})
    await transcript.close()
    lines = [json.loads(line) for line in (tmp_path / "id.jsonl").read_text().splitlines()]
    assert [line.pop("time")[-1] for line in lines] == ["Z"] * 4
    common = {"stream": "id", "path": "/path"}
    assert lines == [
        {**common, "who": "caller", "text": "Hello.", **times},
        {**common, "who": "assistant", "text": "Hello there.", "heard": "Hello", **times},
        {**common, "who": "assistant", "text": "Not heard.", "heard": "", **times},
        {**common, "who": "failure", "why": "no voice"},
    ]
    assert [text for _, _, text in captions((tmp_path / "id.vtt").read_text())] == ["Hello.", "Hello"]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("id.jsonl", "id.vtt")] == [0o600] * 2


@in_virtual_time
async def test_a_transcript_without_a_file_is_none(loop: VirtualLoop, tmp_path: Path) -> None:
    transcript = Transcript(Caller(loop, library_of({})).session.call, tmp_path, None, DEFAULT_MODES)
    transcript.add(Speaker.CALLER, {"text": "Hello.", "start_s": 1.0, "end_s": 2.0})
    await transcript.close()
    assert list(tmp_path.iterdir()) == []


@in_virtual_time
async def test_lines_that_come_while_others_are_written_are_written_next(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    """None is lost, also where a write has ended before the next line comes."""
    loop.jobs_last = itertools.repeat(0.5)
    transcript = Transcript(Caller(loop, library_of({})).session.call, tmp_path, "a.jsonl", DEFAULT_MODES)
    for at in (0.0, 0.2, 0.3, 2.0):
        await asyncio.sleep(at - loop.time())
        transcript.add(Speaker.CALLER, {"text": f"{at}", "start_s": at, "end_s": at + 0.1})
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    await transcript.close()
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["0.0", "0.2", "0.3", "2.0"]
