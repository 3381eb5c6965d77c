"""A start with many prompts, and another with the same."""

import os
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import LOAD_CORE, SERVER_CORE, cpu_of
from benchmarks.servers import media_server
from benchmarks.sounds import write_tone
from mediaserver.support.processes.child import ENVIRONMENT

from .outcome import Outcome

_PROMPTS, _SECONDS, _RATE = 1000, 10.0, 44_100
_CORES = (SERVER_CORE, LOAD_CORE)
_OVERHEAD, _AGAIN = 2.5, 0.3  # x the CPU time of bare processes; x that of the first start
_LOOK = 0.01  # seconds
_DECODE = """
import pathlib, sys
from mediaserver.playout.decoding.decode import decode_file
part, parts = int(sys.argv[2]), int(sys.argv[3])
for file in sorted(pathlib.Path(sys.argv[1]).iterdir())[part::parts]:
    decode_file(file)
"""
_PLAY = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
"""


class _Cost(NamedTuple):
    """Seconds by the clock, and of CPU time, of all processes together."""

    clock: float
    cpu: float


def start(folder: Path) -> Outcome:
    """What it takes until it is ready, beside bare processes that only decode, one for each core.

    It is held to CPU time. By the clock the machine has its say: its cores may be one, or others' as well.
    """
    prompts = folder / "prompts"
    for number in range(_PROMPTS):
        write_tone(prompts / f"{number}.wav", _SECONDS, rate=_RATE, hertz=200 + number)
    bare = _bare(prompts)
    first, second = _ready(folder), _ready(folder)
    found = (
        f"{first.cpu:.1f} s of CPU time, {first.cpu / bare.cpu:.2f} x that of bare processes; "
        f"the second time {second.cpu:.1f} s, {second.cpu / first.cpu:.2f} x"
    )
    notes = (
        f"start, by the clock: bare processes {bare.clock:.1f} s, ready in {first.clock:.1f} s, "
        f"the second time in {second.clock:.1f} s",
    )
    held_to = f"at most {_OVERHEAD:g} x; the second time at most {_AGAIN:g} x the first"
    what = f"start with {_PROMPTS} prompts of {_SECONDS:g} s"
    holds = first.cpu <= _OVERHEAD * bare.cpu and second.cpu <= _AGAIN * first.cpu
    return Outcome(what, found, held_to, holds, notes)


def _bare(prompts: Path) -> _Cost:
    """What processes cost, one for each core, that decode all that is in a folder."""
    os.sync()  # what was written before is not to be paid for here
    began, before = time.monotonic(), _cpu_of_ended()
    decoders = [
        subprocess.Popen(
            [sys.executable, "-c", _DECODE, prompts, str(core), str(len(_CORES))],
            env=os.environ | ENVIRONMENT,
            preexec_fn=lambda: os.sched_setaffinity(0, _CORES),
        )
        for core in range(len(_CORES))
    ]
    for decoder in decoders:
        if decoder.wait():
            raise SystemExit(f"start: a bare process ended with {decoder.returncode}")
    return _Cost(time.monotonic() - began, _cpu_of_ended() - before)


def _cpu_of_ended() -> float:
    """CPU time of our processes that are over."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ready(folder: Path) -> _Cost:
    """What it costs from the start of the process until /readyz says so."""
    os.sync()
    began = time.monotonic()
    with media_server(folder, _PLAY, _CORES) as server:
        while not _is_ready(server.admin):
            time.sleep(_LOOK)
        return _Cost(time.monotonic() - began, cpu_of(server.pid))


def _is_ready(admin: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=10):
            return True
    except urllib.error.HTTPError:
        return False
