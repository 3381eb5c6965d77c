"""The transcript of a call and its captions, in two files that are complete and valid after every write.

The methods block while the disk writes, so callers run them in a thread.
"""

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaserver.call import DEFAULT_MODES, FileModes, create_file, ensure_within, make_folders

CAPTIONS = ".vtt"
_WEBVTT_HEADER = b"WEBVTT\n\n"


class CaptionedTranscript:
    """A transcript file of JSON lines, and a caption file (WebVTT) beside it. The first utterance creates both.

    If a file of that name exists already, a number is added to the name. OSError if a file cannot be created or
    written.
    """

    def __init__(self, directory: Path, path: Path, modes: FileModes = DEFAULT_MODES) -> None:
        self._directory, self.path, self._modes = directory, path, modes
        self._files: tuple[_AppendOnlyFile, _AppendOnlyFile] | None = None

    def append_utterance(self, line: Mapping[str, Any], start: float, end: float) -> None:
        """Append an utterance from `start` to `end`, in seconds. `line` is its JSON object, with a key `text`."""
        if self._files is None:
            self._files = self._create_files()
        lines, captions = self._files
        lines.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        captions.append(webvtt_cue(start, end, line["text"]).encode())

    def _create_files(self) -> "tuple[_AppendOnlyFile, _AppendOnlyFile]":
        ensure_within(self._directory, self.path)
        make_folders(self.path.parent, self._modes)
        for number in itertools.count():
            path = self.path.with_stem(f"{self.path.stem}-{number}") if number else self.path
            try:
                lines = _AppendOnlyFile(path, self._modes)
                try:
                    return lines, _AppendOnlyFile(path.with_suffix(CAPTIONS), self._modes, _WEBVTT_HEADER)
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
