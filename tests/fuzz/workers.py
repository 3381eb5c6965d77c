"""Inputs that need no server, in a process of their own: one that hangs, swells or dies costs itself alone."""

import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.kinds import Failure
from tests.timing import UNIT

_TOO_LONG = 2.0 * UNIT  # seconds for one input, of the processor: others may have it meanwhile
_MORE_MEMORY = 256 << 20  # bytes that one input may make the process grow by
_NICENESS = 10  # the server and its healthy call go first
_MOST_LINES = 12  # of a traceback


class Workers:
    """One worker process, another when it dies."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="mediaserver-fuzz-")
        self._pool = self._started()

    async def run(self, kind: str, seed: int, numbers: range) -> list[Failure]:
        """Take in the inputs of these numbers, one after another."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _run, kind, seed, numbers)
        except BrokenProcessPool:
            self._pool = self._started()
            await loop.run_in_executor(self._pool, os.getpid)  # where none can start at all, the search ends here
        if len(numbers) == 1:
            return [Failure(kind, seed, numbers, "the process died of it")]
        half = len(numbers) // 2  # which of them was it?
        return await self.run(kind, seed, numbers[:half]) + await self.run(kind, seed, numbers[half:])

    def close(self) -> None:
        """Let the worker and its folder go."""
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def _started(self) -> ProcessPoolExecutor:
        fresh = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=fresh, initializer=_begin, initargs=(self._folder.name,))


def _begin(folder: str) -> None:
    from tests.fuzz import catalogue  # noqa: F401 - what is loaded now does not count as growth

    os.chdir(folder)
    os.nice(_NICENESS)
    os.environ["PATH"] = ""  # no ffmpeg: compressed sound is a kind of its own
    warnings.simplefilter("error")  # in a decoder they would be lines between those of the log
    signal.signal(signal.SIGPROF, _hung)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MORE_MEMORY, resource.RLIM_INFINITY))


class _HungError(BaseException):
    """One input takes too long. No `except Exception` stops it."""


def _hung(*_: object) -> None:
    raise _HungError(f"longer than {_TOO_LONG:g} s")


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, _TOO_LONG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _run(name: str, seed: int, numbers: range) -> list[Failure]:
    from tests.fuzz.catalogue import KINDS

    kind, failures = KINDS[name], []
    assert kind.check is not None
    for number in numbers:
        hostile = kind.input(seed, number)
        try:
            with _bounded():
                kind.check(hostile, Path.cwd())
        except (Exception, _HungError) as error:
            failures.append(Failure(name, seed, range(number, number + 1), told(error)))
    return failures


def told(error: BaseException) -> str:
    """A failure's end of the traceback."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(lines[-_MOST_LINES:])
