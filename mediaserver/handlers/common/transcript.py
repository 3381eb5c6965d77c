"""The transcript of a call: who has said what and when, for every handler that writes one.

It is two files, which are complete and valid after every write: lines of JSON, and captions (WebVTT) beside them.
"""

import asyncio
import itertools
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from mediaserver.call import DEFAULT_MODES, Call, FileModes, create_file, ensure_within, make_folders
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common import files
from mediaserver.support.timestamps import utc_timestamp

_CAPTIONS = ".vtt"
_WEBVTT_HEADER = b"WEBVTT\n\n"
_FAILURE = "failure"  # in the place of a speaker, for what could not be said


def _validate_template(template: str) -> str:
    if template.lower().endswith(_CAPTIONS):
        raise ValueError(f"{_CAPTIONS} is the name of the captions beside it: name it .jsonl")
    return files.validate_template(template)


# The template of a transcript's name, of a setting `file`.
TranscriptTemplate = Annotated[str, AfterValidator(_validate_template)]


class Speaker(StrEnum):
    """The speaker of a line of a transcript, by the name that its key `who` has."""

    CALLER = "caller"
    ASSISTANT = "assistant"


class Caption(NamedTuple):
    """A text that was heard, from `start` to `end` in seconds of the transcript."""

    start: float
    end: float
    text: str


class Line(NamedTuple):
    """A line of a transcript: its JSON object, and its caption if anything was heard."""

    fields: dict[str, Any]
    caption: Caption | None = None


class Transcript:
    """The transcript of one call, which is written in the background.

    `template` is the name template of the file in `directory`; None stands for no transcript. After the first
    failure of the disk, which is reported, nothing more is written: a file that lacks its middle looks complete.
    """

    def __init__(self, call: Call, directory: Path, template: str | None, modes: FileModes) -> None:
        self._stream = call.stream
        self._file: TranscriptFile | None = None
        if template is not None:
            self._file = TranscriptFile(directory, files.expand_template(directory, template, call.stream), modes)
        self._writer = files.CallFileWriter(call, EventKind.TRANSCRIPT_FAILED)
        self._lines: list[Line] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, speaker: Speaker, facts: Mapping[str, Any]) -> None:
        """Add an utterance: its `text`, `start_s` and `end_s`, and more facts about it.

        `heard`, if it is there, is the part of the text that was heard, which the caption has.
        """
        heard = facts.get("heard", facts["text"])
        self._add(speaker, facts, Caption(facts["start_s"], facts["end_s"], heard) if heard else None)

    def add_failure(self, facts: Mapping[str, Any]) -> None:
        """Add a failure, such as an answer that could not be spoken. It has no caption."""
        self._add(_FAILURE, facts, None)

    async def close(self) -> None:
        """Wait until all lines are written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def _add(self, who: str, facts: Mapping[str, Any], caption: Caption | None) -> None:
        if self._file is None or self._writer.failed:
            return
        stream = self._stream
        fields = {"time": utc_timestamp(), "stream": stream.id, "path": stream.path, "who": who}
        self._lines.append(Line(fields | dict(facts), caption))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write(self._file))

    async def _write(self, file: "TranscriptFile") -> None:
        while self._lines and not self._writer.failed:
            lines, self._lines = self._lines, []
            await self._writer.write(file.path, file.append, lines)


class TranscriptFile:
    """A file of JSON lines, and a caption file beside it. The first lines create both.

    If a file of that name exists already, a number is added to the name. The methods block while the disk writes.
    They raise OSError if a file cannot be created or written.
    """

    def __init__(self, directory: Path, path: Path, modes: FileModes = DEFAULT_MODES) -> None:
        self._directory, self.path, self._modes = directory, path, modes
        self._files: tuple[_AppendOnlyFile, _AppendOnlyFile] | None = None
        self._last_start = 0.0  # the start of the last caption: WebVTT has its cues in the order of their starts

    def append(self, lines: list[Line]) -> None:
        """Append lines, and their captions."""
        if self._files is None:
            self._files = self._create_files()
        text, captions = self._files
        text.append("".join(f"{json.dumps(line.fields, ensure_ascii=False)}\n" for line in lines).encode())
        captions.append("".join(self._cue(line.caption) for line in lines if line.caption is not None).encode())

    def _cue(self, caption: Caption) -> str:
        self._last_start = max(self._last_start, caption.start)
        return webvtt_cue(self._last_start, caption.end, caption.text)

    def _create_files(self) -> "tuple[_AppendOnlyFile, _AppendOnlyFile]":
        ensure_within(self._directory, self.path)
        make_folders(self.path.parent, self._modes)
        for number in itertools.count():
            path = self.path.with_stem(f"{self.path.stem}-{number}") if number else self.path
            try:
                lines = _AppendOnlyFile(path, self._modes)
                try:
                    return lines, _AppendOnlyFile(path.with_suffix(_CAPTIONS), self._modes, _WEBVTT_HEADER)
                except OSError:
                    path.unlink()
                    raise
            except FileExistsError:
                continue
        raise AssertionError("itertools.count() never ends")


def webvtt_cue(start: float, end: float, text: str) -> str:
    """A caption of `text`, from `start` to `end` in seconds: a WebVTT cue (section 4.1) and an empty line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_timestamp(start)} --> {_timestamp(max(end, start + 0.001))}\n{plain}\n\n"


def _timestamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class _AppendOnlyFile:
    """A new file. Data is appended to it either as a whole or not at all."""

    def __init__(self, path: Path, modes: FileModes, head: bytes = b"") -> None:
        self._path, self._size = path, 0
        os.close(create_file(path, modes))
        self.append(head)

    def append(self, data: bytes) -> None:
        """Append `data` to the file. If that fails, the file is cut to its old length, and OSError is raised."""
        file = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(file, data[written:], self._size + written)
        except OSError:
            os.ftruncate(file, self._size)
            raise
        finally:
            os.close(file)
        self._size += len(data)
