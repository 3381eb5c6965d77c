"""A start with many prompts, and another with the same."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.servers import media_server
from benchmarks.sounds import write_tone
from mediaserver.support.processes import ENVIRONMENT

from .outcome import Outcome

_PROMPTS, _SECONDS, _RATE = 1000, 10.0, 44_100
_FASTER, _AGAIN = 1.6, 10.0
_LOOK = 0.01  # seconds
_ONE_BY_ONE = """
import pathlib, sys
from mediaserver.playout.decoding.decode import decode_file
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
    plain, alike = _one_by_one(prompts), _one_by_one(prompts, **ENVIRONMENT)
    first, second = _ready(folder), _ready(folder)
    found = (
        f"{plain:.1f} s one by one; ready in {first:.1f} s, {plain / first:.2f} x; "
        f"the second time in {second:.1f} s, {plain / second:.1f} x"
    )
    notes = (
        f"start, one by one in a decoder's environment: {alike:.1f} s; the start {alike / first:.2f} x as fast",
        f"start, the second beside the first: {first / second:.1f} x as fast",
    )
    held_to = f"{_FASTER:g} x as fast as one by one, {_AGAIN:g} x the second time"
    what = f"start with {_PROMPTS} prompts of {_SECONDS:g} s"
    holds = plain / first >= _FASTER and plain / second >= _AGAIN
    return Outcome(what, found, held_to, holds, notes)


def _one_by_one(prompts: Path, **environment: str) -> float:
    """Seconds that a process takes, from its start, to decode all that is in a folder."""
    os.sync()  # what was written before is not to be paid for here
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _ONE_BY_ONE, prompts], check=True, env=os.environ | environment)
    return time.monotonic() - began


def _ready(folder: Path) -> float:
    """Seconds from the start of the process until /readyz says so."""
    os.sync()
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
