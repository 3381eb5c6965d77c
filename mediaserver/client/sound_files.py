"""The sound files of a simulated caller: the file that the caller sends, and the recording of received audio."""

import contextlib
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.errors import PromptError, error_text
from mediaserver.playout.decoding.decode import decode_file


def decode_speech(path: Path) -> bytes:
    """The PCM (16-bit, 8 kHz, mono) of a sound file that a caller sends; PromptError if it cannot be decoded."""
    try:
        return decode_file(path).pcm
    except PromptError as error:
        raise PromptError(f"--send: {path} {error}") from error


@contextlib.contextmanager
def open_recorder(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that writes frames into the WAV file at `path`, or drops the frames if `path` is None."""
    if path is None:
        yield lambda pcm: None
        return
    try:
        target = path.open("wb")
    except OSError as error:
        raise PromptError(f"--record: {path} cannot be written: {error_text(error)}") from error
    with target, wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE)
        yield file.writeframes
