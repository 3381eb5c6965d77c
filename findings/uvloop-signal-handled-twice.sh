#!/usr/bin/env bash
# A program that drains at SIGTERM and ends at once at a second SIGTERM counts calls of its handler. One expects that
# loop.add_signal_handler() calls the handler once for a signal that was sent once, whatever other signals come.
# uvloop calls it twice if the signal comes some 20 to 50 microseconds after another one: once it has emptied the
# socket that tells of signals, it also asks Python which have come, so that one that comes in between is told of by
# Python, and in the next round by the socket again. asyncio's own loop never does. SIGHUP to reload and SIGTERM to
# stop, sent together by a supervisor, then end the program without a drain. In a busy server this was seen in one of
# ten such pairs. signal.signal() with loop.call_soon_threadsafe() calls once, with uvloop, too.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check uvloop==0.23.0
"$T/v/bin/python" - <<'E'
import asyncio
import signal
import subprocess
import sys
from importlib.metadata import version

import uvloop

PAIRS = 60_000  # the most that are sent until a handler is called twice
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    os.kill(os.getppid(), signal.SIGHUP)
    end = time.perf_counter() + int(line) / 1e6
    while time.perf_counter() < end:
        pass
    os.kill(os.getppid(), signal.SIGTERM)
"""


async def count(direct: bool, pairs: int) -> tuple[int, int]:
    """Send pairs of signals until a handler is called twice. Returns how many were sent, and the calls of the last."""
    loop = asyncio.get_running_loop()
    calls = {signal.SIGHUP: 0, signal.SIGTERM: 0}
    both = asyncio.Event()

    def on_signal(number):
        calls[number] += 1
        if all(calls.values()):
            both.set()

    for number in calls:
        if direct:
            signal.signal(number, lambda number, frame: loop.call_soon_threadsafe(on_signal, number))
        else:
            loop.add_signal_handler(number, on_signal, number)
    sender = subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE, bufsize=0)
    for pair in range(1, pairs + 1):
        calls.update(dict.fromkeys(calls, 0))
        both.clear()
        sender.stdin.write(b"%d\n" % (pair % 60))
        await both.wait()
        await asyncio.sleep(0.001)
        if sum(calls.values()) > 2:
            break
    sender.stdin.close()
    sender.wait()
    return pair, sum(calls.values())


print("Python", sys.version.split()[0], "uvloop", version("uvloop"))
for name, loop, direct, pairs in (
    ("asyncio, add_signal_handler", asyncio.new_event_loop, False, 6000),
    ("uvloop, signal.signal", uvloop.new_event_loop, True, 6000),
    ("uvloop, add_signal_handler", uvloop.new_event_loop, False, PAIRS),
):
    with asyncio.Runner(loop_factory=loop) as runner:
        sent, calls = runner.run(count(direct, pairs))
    print(f"{name}: expected 2 calls for each pair of signals; seen {calls} for pair {sent}")
    assert (calls > 2) == (pairs == PAIRS)
E
