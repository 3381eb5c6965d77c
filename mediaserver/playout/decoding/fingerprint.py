"""The decoder's fingerprint: a text with the versions of all software that decodes sound files.

With one fingerprint, the same file always gives the same samples. A cached file with another fingerprint was
decoded by other versions, and is therefore decoded anew.
"""

import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mediaserver import __version__

# The revision of our decoding code. Raise it with every change after which a file may give other samples.
DECODER_REVISION = 6


def decoder_fingerprint() -> str:
    """The fingerprint in one line: versions of mediaserver and libraries; size and time of ffmpeg and ffprobe."""
    ours = f"mediaserver {__version__} {DECODER_REVISION}"
    return "; ".join((ours, *_library_versions(), _program_state("ffmpeg"), _program_state("ffprobe")))


@cache
def _library_versions() -> tuple[str, ...]:
    return tuple(f"{library} {version(library)}" for library in ("numpy", "soxr", "av", "pydub"))


def _program_state(name: str) -> str:
    """A program's size and time of change, which an update changes. Asking a program for its version is slow."""
    path = shutil.which(name)
    if path is None:
        return f"no {name}"
    found = Path(path).stat()
    return f"{name} of {found.st_size} bytes and {found.st_mtime_ns} ns"
