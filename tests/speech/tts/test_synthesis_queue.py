"""The synthesis queue: paths take turns, untrusted texts come last, and cancelled tickets free their slots."""

import asyncio

from mediaserver.speech.tts.synthesis_queue import Origin, QueueTicket, SynthesisQueue

TRUSTED, UNTRUSTED = Origin("/trusted"), Origin("/say", untrusted=True)


class QueuedEngine:
    """Holds a slot for each ticket until `finish`; `started` are the names of those that had one, in order."""

    def __init__(self, size: int) -> None:
        self.queue = SynthesisQueue(size)
        self.started: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ticket_of: dict[str, QueueTicket] = {}
        self._done: dict[str, asyncio.Event] = {}

    async def enqueue(self, name: str, origin: Origin) -> None:
        self._done[name], self.ticket_of[name] = asyncio.Event(), QueueTicket(origin)
        self.tasks[name] = asyncio.create_task(self._hold(name))
        await run_pending_tasks()

    async def _hold(self, name: str) -> None:
        async with self.queue.slot(self.ticket_of[name]):
            self.started.append(name)
            await self._done[name].wait()

    async def finish(self, *names: str) -> None:
        for name in names:
            self._done[name].set()
            await self.tasks[name]
            await run_pending_tasks()


async def run_pending_tasks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_paths_take_turns_however_many_texts_of_one_path_wait() -> None:
    engine = QueuedEngine(1)
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await engine.enqueue(name, Origin(f"/{name[0]}"))
    for _ in range(6):
        await engine.finish(engine.started[-1])
    assert engine.started == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_untrusted_texts_come_last() -> None:
    engine = QueuedEngine(1)
    for n in range(20):
        await engine.enqueue(f"untrusted{n}", UNTRUSTED)
    for n in range(3):
        await engine.enqueue(f"trusted{n}", TRUSTED)
    for _ in range(5):
        await engine.finish(engine.started[-1])
    assert engine.started == ["untrusted0", "trusted0", "trusted1", "trusted2", "untrusted1", "untrusted2"]
    for task in engine.tasks.values():
        task.cancel()


async def test_untrusted_texts_leave_one_slot_free() -> None:
    engine = QueuedEngine(3)
    for n in range(3):
        await engine.enqueue(f"untrusted{n}", UNTRUSTED)
    await engine.enqueue("trusted", TRUSTED)
    assert engine.started == ["untrusted0", "untrusted1", "trusted"]
    await engine.finish("trusted")
    assert len(engine.started) == 3
    await engine.finish("untrusted1")
    assert engine.started[-1] == "untrusted2"
    await engine.finish("untrusted0", "untrusted2")


async def test_a_text_that_a_trusted_path_asks_for_too_is_trusted() -> None:
    engine = QueuedEngine(1)
    for name, origin in (("first", TRUSTED), ("untrusted", UNTRUSTED), ("same", UNTRUSTED), ("trusted", TRUSTED)):
        await engine.enqueue(name, origin)
    engine.queue.promote(engine.ticket_of["same"], Origin("/another"))
    for _ in range(4):
        await engine.finish(engine.started[-1])
    assert engine.started == ["first", "trusted", "same", "untrusted"]


async def test_a_ticket_cancelled_while_it_waits_has_no_slot() -> None:
    engine = QueuedEngine(1)
    for name in ("first", "second", "third"):
        await engine.enqueue(name, TRUSTED)
    engine.tasks["second"].cancel()
    await run_pending_tasks()
    await engine.finish("first", "third")
    assert engine.started == ["first", "third"]


async def test_a_ticket_cancelled_in_its_slot_frees_it() -> None:
    engine = QueuedEngine(1)
    for name in ("first", "second"):
        await engine.enqueue(name, TRUSTED)
    engine.tasks["first"].cancel()
    await run_pending_tasks()
    await engine.finish("second")
    assert engine.started == ["first", "second"]


async def test_without_a_size_no_ticket_waits() -> None:
    engine = QueuedEngine(0)
    for n in range(5):
        await engine.enqueue(f"{n}", UNTRUSTED)
    assert len(engine.started) == 5
    await engine.finish(*engine.started)
