"""What was said on a stream, as files that are whole at every moment of it. Blocking: for a thread's use."""

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaserver.call import DEFAULT_MODES, FileModes, create_file, ensure_within, make_folders

CAPTIONS = ".vtt"
_HEAD = b"WEBVTT\n\n"


class Transcript:
    """A file of JSON lines, and captions (WebVTT) beside it; both are there from the first words on.

    A name that is taken gets a number. OSError where the disk or the folder does not let it.
    """

    def __init__(self, directory: Path, path: Path, modes: FileModes = DEFAULT_MODES) -> None:
        self._directory, self.path, self._modes = directory, path, modes
        self._files: tuple[_Growing, _Growing] | None = None

    def add(self, line: Mapping[str, Any], start: float, end: float) -> None:
        """What was said from `start` to `end`, in seconds: `line` has its `text`, and whatever else there is."""
        if self._files is None:
            self._files = self._begun()
        lines, captions = self._files
        lines.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        captions.append(cue(start, end, line["text"]).encode())

    def _begun(self) -> "tuple[_Growing, _Growing]":
        ensure_within(self._directory, self.path)
        make_folders(self.path.parent, self._modes)
        for number in itertools.count():
            path = self.path.with_stem(f"{self.path.stem}-{number}") if number else self.path
            try:
                lines = _Growing(path, self._modes)
                try:
                    return lines, _Growing(path.with_suffix(CAPTIONS), self._modes, _HEAD)
                except OSError:
                    path.unlink()
                    raise
            except FileExistsError:
                continue
        raise AssertionError("there are numbers enough")


def cue(start: float, end: float, text: str) -> str:
    """A caption (WebVTT, section 4.1), with the empty line that ends it."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_time(start)} --> {_time(max(end, start + 0.001))}\n{plain}\n\n"


def _time(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class _Growing:
    """A new file. What cannot be added to it as a whole is not added."""

    def __init__(self, path: Path, modes: FileModes, head: bytes = b"") -> None:
        self._path, self._size = path, 0
        os.close(create_file(path, modes))
        self.append(head)

    def append(self, data: bytes) -> None:
        """Add to it."""
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
