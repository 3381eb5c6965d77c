"""Sound by ffmpeg, as it comes through a pipe: however long a file is, no more than a block of it is in memory."""

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
_BLOCK = 1 << 20  # bytes
_SAID = 4096  # bytes of what it complains of


class Stream(NamedTuple):
    """The first audio stream of a file, as ffprobe sees it."""

    rate: int  # Hz
    channels: int
    seconds: float  # 0 where the file does not say


def require_ffmpeg() -> None:
    """PromptError where the programs are not there."""
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing:
        raise PromptError(
            f"needs {' and '.join(missing)}, not found here: install ffmpeg, or convert the file to WAV"
        )


def probe(path: Path) -> Stream:
    """What a file's first audio stream is; PromptError in ffmpeg's own words where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub's sources carry escapes that newer Pythons warn of
        from pydub.utils import mediainfo_json
    try:
        found: dict[str, Any] = mediainfo_json(path)
        stream = next(each for each in found["streams"] if each["codec_type"] == "audio")
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
        seconds = float(stream.get("duration") or found.get("format", {}).get("duration") or 0)
        if rate < 1 or channels < 1:
            raise ValueError("no sound")
    except (
        LookupError,
        StopIteration,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # pydub trips over odd ones
        with opened(path, Stream(8000, 1, 0)) as blocks:
            for _ in blocks:
                break
        raise PromptError("cannot be decoded by ffmpeg: it finds no sound in it") from error
    return Stream(rate, channels, seconds)


@contextmanager
def opened(path: Path, stream: Stream) -> Generator[Generator[NDArray[np.float32], None, None], None, None]:
    """The sound of a file, mixed down to one channel, ±1.0 full scale, in blocks of its own rate.

    PromptError where ffmpeg fails; whoever leaves early has it killed.
    """
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", f"file:{path}", "-map", "0:a:0"]
    command += ["-ar", str(stream.rate), "-ac", str(stream.channels), "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        try:
            yield _blocks(process, path, stream.channels)
        finally:
            process.kill()


def _blocks(
    process: "subprocess.Popen[bytes]", path: Path, channels: int
) -> Generator[NDArray[np.float32], None, None]:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    said = bytearray()
    complaining = threading.Thread(target=_keep_end, args=(process.stderr, said), daemon=True)
    complaining.start()
    size = max(1, _BLOCK // (channels * _SAMPLE.itemsize)) * channels * _SAMPLE.itemsize
    while block := process.stdout.read(size):
        whole = len(block) - len(block) % (channels * _SAMPLE.itemsize)
        values = np.frombuffer(block[:whole], _SAMPLE).reshape(-1, channels)
        yield values[:, 0] if channels == 1 else values.mean(axis=1, dtype=np.float64)
    code = process.wait()
    complaining.join(1.0)
    if code:
        raise PromptError(f"cannot be decoded by ffmpeg: {_reason(bytes(said), path)}")


def _keep_end(line: IO[bytes], kept: bytearray) -> None:
    """Read to the end; the last of it is kept."""
    while data := line.read1(_SAID):  # type: ignore[attr-defined]
        kept += data
        del kept[:-_SAID]


def _reason(said: bytes, path: Path) -> str:
    """The last of ffmpeg's own words, without the path that they name: ours is said once already."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return (lines[-1] if lines else "it says nothing").replace(f"file:{path}: ", "").replace(f"file:{path}", "it")
