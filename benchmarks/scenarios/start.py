"""A start with many prompts, and another with the same."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.servers import media_server
from benchmarks.sounds import write_tone

from .outcome import Outcome

_PROMPTS, _SECONDS, _RATE = 1000, 10.0, 44_100
_FASTER, _AGAIN = 1.6, 10.0
_LOOK = 0.01  # seconds
_ONE_BY_ONE = """
import pathlib, sys
from mediaserver.playout.decode import decode_file
for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    decode_file(file)
"""
_PLAY = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
"""


def start(folder: Path) -> Outcome:
    """Time until it is ready, on both cores, beside decoding one file after the other in one process."""
    prompts = folder / "prompts"
    for number in range(_PROMPTS):
        write_tone(prompts / f"{number}.wav", _SECONDS, rate=_RATE, hertz=200 + number)
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _ONE_BY_ONE, prompts], check=True)
    one_by_one = time.monotonic() - began
    first, second = _ready(folder), _ready(folder)
    found = f"{one_by_one:.1f} s one by one; ready in {first:.1f} s, {second:.1f} s the second time"
    ratios = one_by_one / first, one_by_one / second
    held_to = f"{_FASTER:g} x as fast, {_AGAIN:g} x the second time"
    what = f"start with {_PROMPTS} prompts of {_SECONDS:g} s"
    holds = ratios[0] >= _FASTER and ratios[1] >= _AGAIN
    return Outcome(what, f"{found}: {ratios[0]:.2f} x, {ratios[1]:.1f} x", held_to, holds)


def _ready(folder: Path) -> float:
    """Seconds from the start of the process until /readyz says so."""
    began = time.monotonic()
    with media_server(folder, _PLAY, (SERVER_CORE, LOAD_CORE)) as server:
        while not _is_ready(server.admin):
            time.sleep(_LOOK)
        return time.monotonic() - began


def _is_ready(admin: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=10):
            return True
    except urllib.error.HTTPError:
        return False
