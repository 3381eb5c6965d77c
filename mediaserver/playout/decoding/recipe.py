"""What decides which samples a sound file becomes, besides its content: where it changes, decode anew."""

import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mediaserver import __version__

DECODING = (
    2  # our own part in it: to be counted up with every change that makes other samples, between versions too
)


def recipe() -> str:
    """One line, the same for as long as the same content becomes the same samples, by the same version of ours."""
    return "; ".join((f"mediaserver {__version__} {DECODING}", *_libraries(), _tool("ffmpeg"), _tool("ffprobe")))


@cache
def _libraries() -> tuple[str, ...]:
    return tuple(f"{library} {version(library)}" for library in ("numpy", "soxr", "pydub"))


def _tool(name: str) -> str:
    """A program as it is now: it may be replaced while we run. To ask for its version would take far longer."""
    path = shutil.which(name)
    if path is None:
        return f"no {name}"
    found = Path(path).stat()
    return f"{name} of {found.st_size} bytes and {found.st_mtime_ns} ns"
