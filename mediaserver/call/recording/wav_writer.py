"""A WAV file that grows, and is a whole WAV file at every moment of it. Blocking: for a thread's use."""

import errno
import itertools
import os
from pathlib import Path

from mediaserver.audio import wav
from mediaserver.call.recording.file_modes import USUAL_MODES, Modes, create, make_folders

_PART = ".part"


def stay_within(directory: Path, path: Path) -> None:
    """PermissionError where a link would lead a path out of a folder."""
    # Not `Path.resolve`, which before Python 3.13 raises a RuntimeError where links go round in circles.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise PermissionError(errno.EPERM, "leads out of its folder", str(path))


class WavFile:
    """16-bit PCM at 8 kHz, written beside its name as `.part` and given that name when it is closed.

    Sound is written before the header that counts it, so that whatever ends the process leaves a playable file.
    A name that is taken gets a number. OSError where the disk or the folder does not let it.
    """

    def __init__(self, path: Path, channels: int, modes: Modes = USUAL_MODES) -> None:
        make_folders(path.parent, modes)
        self._channels = channels
        self._size = 0  # bytes of sound
        for number in itertools.count():
            self.path = path.with_stem(f"{path.stem}-{number}") if number else path
            self._part = self.path.with_name(self.path.name + _PART)
            try:
                self._file = os.fdopen(create(self._part, modes), "wb", buffering=0)
            except FileExistsError:
                continue
            if not self.path.exists():
                break
            self._file.close()
            self._part.unlink()
        self._head()

    @property
    def samples(self) -> int:
        """Samples of each channel in the file."""
        return self._size // (2 * self._channels)

    def append(self, pcm: bytes) -> None:
        """Add sound, interleaved."""
        block = 2 * self._channels
        try:
            os.lseek(self._file.fileno(), wav.HEADER_BYTES + self._size, os.SEEK_SET)
            written = 0
            while written < len(pcm):
                written += self._file.write(memoryview(pcm)[written:])
        finally:  # what a full disk still took is kept
            self._size += written - written % block
            self._head()

    def close(self, samples: int | None = None) -> None:
        """Cut to so many samples a channel, if fewer, and take its name."""
        try:
            if samples is not None:
                self._size = min(self._size, samples * 2 * self._channels)
            self._head()
            self._file.truncate(wav.HEADER_BYTES + self._size)
        finally:
            self._file.close()
        self._part.replace(self.path)

    def _head(self) -> None:
        os.pwrite(self._file.fileno(), wav.header(self._channels, self._size), 0)
