"""A round: so many inputs of each kind, to workers and to a server, and what is wrong afterwards."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz import aftermath, lab
from tests.fuzz.aftermath import Watch
from tests.fuzz.catalogue import KINDS
from tests.fuzz.kinds import Failure, Kind
from tests.fuzz.workers import Workers, told

_BATCH = 100  # inputs between two looks at the log, and at the time
_AFTERWARDS = 2.0  # seconds of a call when all is over
Progress = Callable[[str, int, list[Failure]], None]  # a kind, inputs that were taken in, what went wrong


class Round:
    """One round of a seed. `plan` names the numbers of each kind; it is cut short at `deadline` (monotonic)."""

    def __init__(
        self, seed: int, plan: Mapping[str, range], progress: Progress, deadline: float = float("inf")
    ) -> None:
        self.seed, self._progress, self._deadline = seed, progress, deadline
        plan = {name: numbers for name, numbers in plan.items() if numbers and _possible(KINDS[name])}
        self._local = {name: numbers for name, numbers in plan.items() if KINDS[name].check}
        self._decoded = {name: numbers for name, numbers in plan.items() if KINDS[name].needs_ffmpeg}
        self._network = {name: plan[name] for name in plan if name not in self._local | self._decoded}

    async def run(self) -> list[str]:
        """Take in all of it; what is wrong with the server when it is over, of no one input's making."""
        with TemporaryDirectory(prefix="mediaserver-fuzz-") as folder:
            if not self._network and not self._decoded:
                await self._work_through()
                return []
            async with lab.opened(Path(folder)) as laboratory:
                return await self._meet_all(laboratory)

    async def _meet_all(self, laboratory: lab.Lab) -> list[str]:
        server, watch = laboratory.server, Watch(laboratory.server)
        before = aftermath.descriptors(server)
        async with aftermath.healthy_call(laboratory) as beside, asyncio.TaskGroup() as group:
            group.create_task(self._work_through())
            group.create_task(self._meet(self._decoded, laboratory, watch))
            group.create_task(self._meet(self._network, laboratory, watch))
        if server.process.poll() is not None:
            return [*beside.problems, "the server is dead"]
        wrong = beside.problems + await aftermath.settle(server, before)
        async with aftermath.healthy_call(laboratory, _AFTERWARDS) as after:
            pass
        return wrong + after.problems + watch.complaints()

    async def _work_through(self) -> None:
        workers = Workers()
        try:
            for name, numbers in self._local.items():
                for batch in self._batches(numbers):
                    self._progress(name, len(batch), await workers.run(name, self.seed, batch))
        finally:
            workers.close()

    async def _meet(self, plan: Mapping[str, range], laboratory: lab.Lab, watch: Watch) -> None:
        for name, numbers in plan.items():
            for batch in self._batches(numbers):
                failures = await self._meet_batch(KINDS[name], batch, laboratory)
                failures += [Failure(name, self.seed, batch, f"in the log: {line}") for line in watch.complaints()]
                self._progress(name, len(batch), failures)

    async def _meet_batch(self, kind: Kind, numbers: range, laboratory: lab.Lab) -> list[Failure]:
        """So many at once; each failure is told by its number."""
        assert kind.meet is not None
        meet, ahead, failures = kind.meet, iter(numbers), []

        async def one_after_another() -> None:
            for number in ahead:
                try:
                    await meet(kind.input(self.seed, number), laboratory)
                except Exception as error:
                    failures.append(Failure(kind.name, self.seed, range(number, number + 1), told(error)))

        await asyncio.gather(*(one_after_another() for _ in range(kind.at_once)))
        return failures

    def _batches(self, numbers: range) -> Iterator[range]:
        for at in range(0, len(numbers), _BATCH):
            if time.monotonic() >= self._deadline:
                return
            yield numbers[at : at + _BATCH]


def _possible(kind: Kind) -> bool:
    return not kind.needs_ffmpeg or shutil.which("ffmpeg") is not None
