"""The decoder's fingerprint: with the file's content, it decides which samples decoding gives.

A cached file that was decoded under another fingerprint is decoded anew.
"""

import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mediaserver import __version__

DECODER_REVISION = 2  # of our own code: to be raised with every change that gives other samples, even unreleased


def decoder_fingerprint() -> str:
    """One line: our own version, the libraries' and the programs'."""
    ours = f"mediaserver {__version__} {DECODER_REVISION}"
    return "; ".join((ours, *_library_versions(), _program_state("ffmpeg"), _program_state("ffprobe")))


@cache
def _library_versions() -> tuple[str, ...]:
    return tuple(f"{library} {version(library)}" for library in ("numpy", "soxr", "pydub"))


def _program_state(name: str) -> str:
    """A program's size and time now: it may be replaced while we run. Asking for its version takes far longer."""
    path = shutil.which(name)
    if path is None:
        return f"no {name}"
    found = Path(path).stat()
    return f"{name} of {found.st_size} bytes and {found.st_mtime_ns} ns"
