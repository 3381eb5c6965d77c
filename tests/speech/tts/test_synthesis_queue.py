"""Who has an engine next: paths take turns, strangers come last, and who gives up leaves no gap."""

import asyncio

from mediaserver.speech.tts.synthesis_queue import Origin, QueueTicket, SynthesisQueue

TRUSTED, UNTRUSTED = Origin("/ours"), Origin("/say", untrusted=True)


class QueuedEngine:
    """Speaks until it is told that it is done; `begun` are the names of what had its turn, in that order."""

    def __init__(self, size: int) -> None:
        self.queue = SynthesisQueue(size)
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ticket_of: dict[str, QueueTicket] = {}
        self._done: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, origin: Origin) -> None:
        self._done[name], self.ticket_of[name] = asyncio.Event(), QueueTicket(origin)
        self.tasks[name] = asyncio.create_task(self._speak(name))
        await settled()

    async def _speak(self, name: str) -> None:
        async with self.queue.slot(self.ticket_of[name]):
            self.begun.append(name)
            await self._done[name].wait()

    async def finish(self, *names: str) -> None:
        for name in names:
            self._done[name].set()
            await self.tasks[name]
            await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_paths_take_turns_however_many_one_has_waiting() -> None:
    engine = QueuedEngine(1)
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await engine.ask(name, Origin(f"/{name[0]}"))
    for _ in range(6):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_strangers_come_last() -> None:
    engine = QueuedEngine(1)
    for n in range(20):
        await engine.ask(f"theirs{n}", UNTRUSTED)
    for n in range(3):
        await engine.ask(f"ours{n}", TRUSTED)
    for _ in range(5):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["theirs0", "ours0", "ours1", "ours2", "theirs1", "theirs2"]
    for task in engine.tasks.values():
        task.cancel()


async def test_strangers_leave_a_place_free() -> None:
    engine = QueuedEngine(3)
    for n in range(3):
        await engine.ask(f"theirs{n}", UNTRUSTED)
    await engine.ask("ours", TRUSTED)
    assert engine.begun == ["theirs0", "theirs1", "ours"]
    await engine.finish("ours")
    assert len(engine.begun) == 3
    await engine.finish("theirs1")
    assert engine.begun[-1] == "theirs2"
    await engine.finish("theirs0", "theirs2")


async def test_what_somebody_else_has_said_too_is_no_stranger_s_any_more() -> None:
    engine = QueuedEngine(1)
    for name, origin in (("first", TRUSTED), ("theirs", UNTRUSTED), ("same", UNTRUSTED), ("ours", TRUSTED)):
        await engine.ask(name, origin)
    engine.queue.promote(engine.ticket_of["same"], Origin("/another"))
    for _ in range(4):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["first", "ours", "same", "theirs"]


async def test_who_gives_up_has_no_turn() -> None:
    engine = QueuedEngine(1)
    for name in ("first", "second", "third"):
        await engine.ask(name, TRUSTED)
    engine.tasks["second"].cancel()
    await settled()
    await engine.finish("first", "third")
    assert engine.begun == ["first", "third"]


async def test_who_is_cancelled_at_work_gives_its_place_back() -> None:
    engine = QueuedEngine(1)
    for name in ("first", "second"):
        await engine.ask(name, TRUSTED)
    engine.tasks["first"].cancel()
    await settled()
    await engine.finish("second")
    assert engine.begun == ["first", "second"]


async def test_without_a_size_nobody_waits() -> None:
    engine = QueuedEngine(0)
    for n in range(5):
        await engine.ask(f"{n}", UNTRUSTED)
    assert len(engine.begun) == 5
    await engine.finish(*engine.begun)
