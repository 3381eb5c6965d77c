"""The decoder's fingerprint names all that decides, besides a file's content, which samples decoding gives.

A cached file that was decoded under another fingerprint is decoded anew.
"""

import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mediaserver import __version__

# The revision of our own code: raise it with every change that gives other samples, even before a release.
DECODER_REVISION = 3


def decoder_fingerprint() -> str:
    """The fingerprint in one line: our own version, those of the libraries, the state of ffmpeg and ffprobe."""
    ours = f"mediaserver {__version__} {DECODER_REVISION}"
    return "; ".join((ours, *_library_versions(), _program_state("ffmpeg"), _program_state("ffprobe")))


@cache
def _library_versions() -> tuple[str, ...]:
    return tuple(f"{library} {version(library)}" for library in ("numpy", "soxr", "av", "pydub"))


def _program_state(name: str) -> str:
    """A program's size and time, which tell if it was replaced meanwhile; asking for its version is far slower."""
    path = shutil.which(name)
    if path is None:
        return f"no {name}"
    found = Path(path).stat()
    return f"{name} of {found.st_size} bytes and {found.st_mtime_ns} ns"
