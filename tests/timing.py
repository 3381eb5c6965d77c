"""Waiting in tests, and measuring: never by how fast the machine is.

What must come is waited for with `PATIENCE`. What must come on time is allowed to be as late as the machine itself
is, which `late` tells: on one that is idle that is nothing.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNIT = float(os.environ.get("TEST_TIME_UNIT", "1"))  # seconds that are ample on any machine this is run on
# Seconds for what must come, whatever else the machine does meanwhile: only a test that fails waits for so long.
PATIENCE = 120 * UNIT
TIMEOUT = min(PATIENCE, 60.0)  # the same where it is a setting, which may be no longer
_LOOK = 0.002  # seconds between two looks at a condition
_LOOK_SHARE = 20  # by how much the time between two looks is longer than a look, at least
_NAP = 0.01  # seconds
_TURNS = 4  # what goes from one process to another and back waits for a core as often


async def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until a condition holds; fail where it never does.

    A condition that takes long to look at is looked at less often, so that looking leaves the core to what is
    waited for.
    """
    deadline = time.monotonic() + patience
    began = time.thread_time()  # which stands still while other processes have the core
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(max(_LOOK, _LOOK_SHARE * (time.thread_time() - began)))
        began = time.thread_time()


def lengths(seconds: float) -> Iterator[float]:
    """Seconds for a call in which a certain sound is said and heard: ever more, for a machine that is late."""
    yield seconds
    while (seconds := 4 * seconds) < PATIENCE:
        yield seconds


class Witness:
    """A thread that sleeps a little again and again; `worst` is by how many seconds it woke too late."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._thread: threading.Thread | None = None

    def anew(self) -> None:
        """From now on: what the machine did before is no excuse."""
        if self._thread is None or not self._thread.is_alive():  # a process that was forked has none
            self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
            self._thread.start()
        self.worst = 0.0

    def _watch(self) -> None:
        while True:
            due = time.monotonic() + _NAP
            time.sleep(_NAP)
            self.worst = max(self.worst, time.monotonic() - due)


WITNESS = Witness()


def waited(pid: int) -> float:
    """Seconds for which the present threads of a process could have run while others had the cores.

    All of them count: a thread that waits for a core may hold the interpreter's lock, which the others wait for.
    """
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            total += int(thread.read_text().split()[1])
    return total / 1e9


def lag_from_now(pid: int) -> Callable[[], float]:
    """A function that tells by how many seconds a process may have been late since now, by no fault of its own."""
    before = waited(pid)
    return lambda: late() + max(0.0, waited(pid) - before)  # less where a thread has ended


def late() -> float:
    """Seconds by which whatever was to be on time in this test may have been late by no fault of its own."""
    return _TURNS * WITNESS.worst
