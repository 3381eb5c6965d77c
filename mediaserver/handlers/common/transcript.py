"""The transcript of a call, with captions: two files that are valid at every moment. Blocking: for a thread."""

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
    """A file of JSON lines, and captions (WebVTT) beside it. Both are created with the first utterance.

    A number is added to a name that is taken. OSError where a file cannot be created or written.
    """

    def __init__(self, directory: Path, path: Path, modes: FileModes = DEFAULT_MODES) -> None:
        self._directory, self.path, self._modes = directory, path, modes
        self._files: tuple[_AppendOnlyFile, _AppendOnlyFile] | None = None

    def append_utterance(self, line: Mapping[str, Any], start: float, end: float) -> None:
        """Append an utterance, from `start` to `end`, in seconds. `line` has its `text` and other facts."""
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
        raise AssertionError("there are numbers enough")


def webvtt_cue(start: float, end: float, text: str) -> str:
    """A caption (a WebVTT cue, section 4.1), with the empty line that ends it."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_timestamp(start)} --> {_timestamp(max(end, start + 0.001))}\n{plain}\n\n"


def _timestamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class _AppendOnlyFile:
    """A new file. Data that cannot be appended as a whole is not appended."""

    def __init__(self, path: Path, modes: FileModes, head: bytes = b"") -> None:
        self._path, self._size = path, 0
        os.close(create_file(path, modes))
        self.append(head)

    def append(self, data: bytes) -> None:
        """Append some data. Where that fails, the file is left as it was before, and OSError is raised."""
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
