"""The decoder's fingerprint: with the file's content, it decides which samples decoding gives.

A cached file that was decoded under another fingerprint is decoded anew.
"""

import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mediaserver import __version__

# The revision of our own code: raise it with every change that gives other samples, even an unreleased one.
DECODER_REVISION = 2


def decoder_fingerprint() -> str:
    """The fingerprint, one line: our own version, the libraries' versions, and the state of each program."""
    ours = f"mediaserver {__version__} {DECODER_REVISION}"
    return "; ".join((ours, *_library_versions(), _program_state("ffmpeg"), _program_state("ffprobe")))


@cache
def _library_versions() -> tuple[str, ...]:
    return tuple(f"{library} {version(library)}" for library in ("numpy", "soxr", "pydub"))


def _program_state(name: str) -> str:
    """The size and time of a program, which may be replaced while we run. Asking for its version is far slower."""
    path = shutil.which(name)
    if path is None:
        return f"no {name}"
    found = Path(path).stat()
    return f"{name} of {found.st_size} bytes and {found.st_mtime_ns} ns"
