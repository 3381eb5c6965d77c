"""The load of the run: how many callers there are at each time, and what goes wrong when.

Times are shares of the run, from 0 to 1, so that a short run has everything that a long one has.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np

from benchmarks.soak.hostile import KINDS, Hostile
from benchmarks.soak.tally import Tally
from scripts.pictures.dashboard import callers
from scripts.pictures.dashboard.callers import Caller, make
from scripts.pictures.dashboard.stage import PROMPTS, Stage

# How many callers there are at which time: more than `stage.MOST_STREAMS` in the middle.
_CALLERS = {0.0: 3, 0.15: 14, 0.4: 20, 0.5: 42, 0.58: 42, 0.64: 18, 1.0: 9}
_SECURE = 5  # callers of the second server
_LOOK = 0.5  # seconds from one look at how many callers there are to the next
_BREAKS = 6.0  # seconds from one peer that misbehaves to the next
_HELD_UP = (0.06, 0.11, 0.25)  # seconds for which the process is held up, in turn


class Load:
    """All callers, and all that goes wrong, for `seconds`."""

    def __init__(self, stage: Stage, seconds: float, seed: int = 1) -> None:
        self._stage, self._seconds, self._rng = stage, seconds, random.Random(seed)
        self._began = time.monotonic()

    async def run(self) -> None:
        """Run to the end, at which all callers hang up."""
        group = [
            self._keep(self._most, lambda: self._rng.choices(*self._usual())[0]),
            self._keep(lambda: _SECURE, lambda: callers.secure),
            self._misbehave(),
            self._repeat(0.25, 0.9, 25.0, callers.broken_line),
            self._repeat(0.28, 0.36, 4.0, callers.raises),
            self._repeat(0.74, 0.84, 1.5, callers.stranger),
            self._hold_up(),
            self._during(0.44, 0.54, lambda down: setattr(self._stage.model, "down", down)),
            self._during(0.66, 0.76, lambda down: setattr(self._stage.backend, "down", down)),
            self._during(0.3, 0.5, self._break_prompts),
            self._during(0.6, 0.7, self._break_configuration),
        ]
        tasks = [asyncio.create_task(each) for each in group]
        try:
            done, _ = await asyncio.wait(tasks, timeout=self._seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _usual(self) -> tuple[list[Caller], list[float]]:
        return list(callers.USUAL), list(callers.USUAL.values())

    @property
    def _share(self) -> float:
        """How much of the run is over."""
        return (time.monotonic() - self._began) / self._seconds

    def _most(self) -> int:
        """How many callers there should be now."""
        return round(float(np.interp(self._share, list(_CALLERS), list(_CALLERS.values()))))

    async def _keep(self, count: Callable[[], int], choose: Callable[[], Caller]) -> None:
        """Keep so many callers calling, each with one call after another."""
        calling: set[asyncio.Task[None]] = set()
        try:
            while True:
                for _ in range(min(3, count() - len(calling))):
                    task = asyncio.create_task(make(choose(), self._stage, self._rng))
                    calling.add(task)
                    task.add_done_callback(calling.discard)
                await asyncio.sleep(_LOOK)
        finally:
            for task in calling:
                task.cancel()
            await asyncio.gather(*calling, return_exceptions=True)

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, (share - self._share) * self._seconds))

    async def _repeat(self, begin: float, end: float, every: float, caller: Caller) -> None:
        """Make one call of a kind after another, for a part of the run."""
        await self._until(begin)
        while self._share < end:
            await make(caller, self._stage, self._rng)
            await asyncio.sleep(every * self._rng.uniform(0.5, 1.5))

    async def _during(self, begin: float, end: float, change: Callable[[bool], Awaitable[None] | None]) -> None:
        """Break something for a part of the run."""
        for share, broken in ((begin, True), (end, False)):
            await self._until(share)
            if (changing := change(broken)) is not None:
                await changing

    async def _misbehave(self) -> None:
        """Peers that misbehave in every way, one after another."""
        hostile = Hostile(self._stage.main.url(""), Tally(), self._rng)
        await self._until(0.12)
        async with asyncio.TaskGroup() as group:
            while True:
                for kind in KINDS:
                    group.create_task(hostile.misbehave(kind))
                    await asyncio.sleep(_BREAKS)

    async def _hold_up(self) -> None:
        """Hold up the main server's process several times, as a machine does that is too busy."""
        pid = self._stage.main.process.pid
        await self._until(0.5)
        while self._share < 0.6:
            for seconds in _HELD_UP:
                await asyncio.to_thread(_stop_for, pid, seconds)
                await asyncio.sleep(2)

    async def _break_prompts(self, broken: bool) -> None:
        """Have a file that cannot be played, and a path without its prompt."""
        prompts = self._stage.main.log_file.parent / "prompts"
        if broken:
            (prompts / "broken.wav").write_bytes(b"RIFF of no use")
            (prompts / "offer.wav").unlink()
        else:
            (prompts / "broken.wav").unlink()
            (prompts / "offer.wav").write_bytes((PROMPTS / "beep.wav").read_bytes())

    async def _break_configuration(self, broken: bool) -> None:
        """Write a mistake into the configuration, or mend it."""
        config = self._stage.main.log_file.with_suffix(".toml")
        text = config.read_text()
        config.write_text(
            text.replace("[prompts]", "[prompt]") if broken else text.replace("[prompt]", "[prompts]")
        )
        with suppress(ProcessLookupError):
            self._stage.main.process.send_signal(signal.SIGHUP)


def _stop_for(pid: int, seconds: float) -> None:
    """Stop a process, and let it go on after so many seconds. Run in a thread, because tasks may wake up late."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
