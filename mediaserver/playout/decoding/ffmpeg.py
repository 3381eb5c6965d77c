"""Decodes sound files by the system's program ffmpeg, whose output is read from a pipe block by block."""

import shutil
import subprocess
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaserver.errors import PromptError

_SAMPLE = np.dtype("<f4")
_BLOCK = 1 << 20  # number of bytes of PCM that are read from ffmpeg at a time
_STDERR_TAIL = 4096  # number of bytes that are kept of the end of ffmpeg's error messages


class AudioStream(NamedTuple):
    """The first audio stream of a file, as ffprobe describes it."""

    rate: int  # sampling rate in Hz
    channels: int
    seconds: float  # the duration in seconds that ffprobe finds in the file's header; 0 if there is none


def is_installed() -> bool:
    """Whether the system has ffmpeg and ffprobe."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def probe(path: Path) -> AudioStream:
    """Describe a file's first audio stream. If there is none, raise PromptError with ffmpeg's own message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Python versions warn of invalid escapes in pydub's source code
        from pydub.utils import mediainfo_json
    try:
        found: dict[str, Any] = mediainfo_json(path)
        stream = next(each for each in found["streams"] if each["codec_type"] == "audio")
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
        seconds = float(stream.get("duration") or found.get("format", {}).get("duration") or 0)
        if rate < 1 or channels < 1:
            raise ValueError("no sound")
    # pydub raises one of these errors if ffprobe's answer has an unexpected form.
    except (LookupError, StopIteration, ValueError, TypeError, AttributeError) as error:
        with decoded_blocks(path, AudioStream(8000, 1, 0)) as blocks:
            for _ in blocks:
                break
        raise PromptError("cannot be decoded by ffmpeg, which finds no sound in it") from error
    return AudioStream(rate, channels, seconds)


@contextmanager
def decoded_blocks(
    path: Path, stream: AudioStream
) -> Generator[Generator[NDArray[np.float32], None, None], None, None]:
    """Run ffmpeg, and yield an iterator of a file's audio in blocks of shape (n,), ±1.0 full scale.

    The blocks are mixed down to one channel, at the file's own sampling rate. The iterator raises PromptError if
    ffmpeg fails. ffmpeg is killed if the `with` block ends before the end of the file.
    """
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", f"file:{path}", "-map", "0:a:0"]
    command += ["-ar", str(stream.rate), "-ac", str(stream.channels), "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        try:
            yield _read_blocks(process, path, stream.channels)
        finally:
            process.kill()


def _read_blocks(
    process: "subprocess.Popen[bytes]", path: Path, channels: int
) -> Generator[NDArray[np.float32], None, None]:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    messages = bytearray()
    stderr_reader = threading.Thread(target=_keep_tail, args=(process.stderr, messages), daemon=True)
    stderr_reader.start()
    size = max(1, _BLOCK // (channels * _SAMPLE.itemsize)) * channels * _SAMPLE.itemsize
    while block := process.stdout.read(size):
        whole = len(block) - len(block) % (channels * _SAMPLE.itemsize)
        values = np.frombuffer(block[:whole], _SAMPLE).reshape(-1, channels)
        yield values[:, 0] if channels == 1 else values.mean(axis=1, dtype=np.float64)
    code = process.wait()
    stderr_reader.join(1.0)
    if code:
        raise PromptError(f"cannot be decoded by ffmpeg: {_last_message(bytes(messages), path)}")


def _keep_tail(stderr: IO[bytes], tail: bytearray) -> None:
    """Read ffmpeg's `stderr` to its end, and keep the last `_STDERR_TAIL` bytes in `tail`."""
    while data := stderr.read1(_STDERR_TAIL):  # type: ignore[attr-defined]
        tail += data
        del tail[:-_STDERR_TAIL]


def _last_message(messages: bytes, path: Path) -> str:
    """ffmpeg's last line of error messages, without the file's path, which is shown to users anyway."""
    lines = [line.strip() for line in messages.decode(errors="replace").splitlines() if line.strip()]
    return (
        (lines[-1] if lines else "it gave no reason").replace(f"file:{path}: ", "").replace(f"file:{path}", "it")
    )
