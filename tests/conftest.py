"""What all tests share: a real ffmpeg, and one scale for every tolerance of time."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def _bundled_ffmpeg() -> str | None:
    """The folder of the ffmpeg that comes with the development requirements, where they have one."""
    package = importlib.util.find_spec("ffmpeg")
    places = package.submodule_search_locations if package else None
    folder = Path(next(iter(places)), "binaries") if places else None
    return str(folder) if folder and (folder / "ffmpeg").exists() else None


if shutil.which("ffmpeg") is None and (bundled := _bundled_ffmpeg()) is not None:
    os.environ["PATH"] += os.pathsep + bundled


@pytest.fixture
def ffmpeg() -> str:
    """The real ffmpeg, or no test."""
    found = shutil.which("ffmpeg")
    if found is None:
        pytest.skip("no ffmpeg on this machine")
    return found
