"""A WAV file that grows, and is valid at every moment. Its methods block, so callers run them in a thread."""

import errno
import itertools
import os
from pathlib import Path

from mediaserver.audio.containers import wav
from mediaserver.call.recording.file_modes import DEFAULT_MODES, FileModes, create_file, make_folders

_PART = ".part"


def ensure_within(directory: Path, path: Path) -> None:
    """Raise PermissionError where a symbolic link leads a path out of a folder."""
    # `Path.resolve` is not used, because it raises a RuntimeError for circular links before Python 3.13.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise PermissionError(errno.EPERM, "leads out of its folder", str(path))


class WavFile:
    """A WAV file of 16-bit PCM at 8 kHz, whose name ends in `.part` until the file is closed.

    New audio is written before the header that counts its bytes, so that the file is playable whenever the process
    ends. If the name is taken, a number is added to it. OSError where the file cannot be created or written.
    """

    def __init__(self, path: Path, channels: int, modes: FileModes = DEFAULT_MODES) -> None:
        make_folders(path.parent, modes)
        self._channels = channels
        self._size = 0  # bytes of PCM in the file
        for number in itertools.count():
            self.path = path.with_stem(f"{path.stem}-{number}") if number else path
            self._part = self.path.with_name(self.path.name + _PART)
            try:
                self._file = os.fdopen(create_file(self._part, modes), "wb", buffering=0)
            except FileExistsError:
                continue
            if not self.path.exists():
                break
            self._file.close()
            self._part.unlink()
        self._write_header()
        self._seek_end()

    @property
    def samples(self) -> int:
        """Number of samples of each channel in the file."""
        return self._size // (2 * self._channels)

    def append(self, pcm: bytes) -> None:
        """Append PCM to the file, its channels interleaved."""
        block = 2 * self._channels
        try:
            written = 0
            while written < len(pcm):
                written += self._file.write(memoryview(pcm)[written:])
        finally:  # if the disk becomes full, the header still counts the audio that was written before
            self._size += written - written % block
            if written % block:
                self._seek_end()
            self._write_header()

    def close(self, samples: int | None = None) -> None:
        """Truncate each channel to `samples` if given, close the file, and drop `.part` from its name."""
        try:
            if samples is not None:
                self._size = min(self._size, samples * 2 * self._channels)
            self._write_header()
            self._file.truncate(wav.HEADER_BYTES + self._size)
        finally:
            self._file.close()
        self._part.replace(self.path)

    def _seek_end(self) -> None:
        os.lseek(self._file.fileno(), wav.HEADER_BYTES + self._size, os.SEEK_SET)

    def _write_header(self) -> None:
        os.pwrite(self._file.fileno(), wav.header(self._channels, self._size), 0)
