"""Who has an engine next: paths take turns, strangers come last, and who gives up leaves no gap."""

import asyncio

from mediaserver.speech.tts.priority import Origin, Turn, Turns

OURS, THEIRS = Origin("/ours"), Origin("/say", stranger=True)


class Engine:
    """Speaks until it is told that it is done; `begun` are the names of what had its turn, in that order."""

    def __init__(self, size: int) -> None:
        self.turns = Turns(size)
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.turn_of: dict[str, Turn] = {}
        self._done: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, origin: Origin) -> None:
        self._done[name], self.turn_of[name] = asyncio.Event(), Turn(origin)
        self.tasks[name] = asyncio.create_task(self._speak(name))
        await settled()

    async def _speak(self, name: str) -> None:
        async with self.turns.taken(self.turn_of[name]):
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
    engine = Engine(1)
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await engine.ask(name, Origin(f"/{name[0]}"))
    for _ in range(6):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_strangers_come_last() -> None:
    engine = Engine(1)
    for n in range(20):
        await engine.ask(f"theirs{n}", THEIRS)
    for n in range(3):
        await engine.ask(f"ours{n}", OURS)
    for _ in range(5):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["theirs0", "ours0", "ours1", "ours2", "theirs1", "theirs2"]
    for task in engine.tasks.values():
        task.cancel()


async def test_strangers_leave_a_place_free() -> None:
    engine = Engine(3)
    for n in range(3):
        await engine.ask(f"theirs{n}", THEIRS)
    await engine.ask("ours", OURS)
    assert engine.begun == ["theirs0", "theirs1", "ours"]
    await engine.finish("ours")
    assert len(engine.begun) == 3
    await engine.finish("theirs1")
    assert engine.begun[-1] == "theirs2"
    await engine.finish("theirs0", "theirs2")


async def test_what_somebody_else_has_said_too_is_no_stranger_s_any_more() -> None:
    engine = Engine(1)
    for name, origin in (("first", OURS), ("theirs", THEIRS), ("same", THEIRS), ("ours", OURS)):
        await engine.ask(name, origin)
    engine.turns.promote(engine.turn_of["same"], Origin("/another"))
    for _ in range(4):
        await engine.finish(engine.begun[-1])
    assert engine.begun == ["first", "ours", "same", "theirs"]


async def test_who_gives_up_has_no_turn() -> None:
    engine = Engine(1)
    for name in ("first", "second", "third"):
        await engine.ask(name, OURS)
    engine.tasks["second"].cancel()
    await settled()
    await engine.finish("first", "third")
    assert engine.begun == ["first", "third"]


async def test_who_is_cancelled_at_work_gives_its_place_back() -> None:
    engine = Engine(1)
    for name in ("first", "second"):
        await engine.ask(name, OURS)
    engine.tasks["first"].cancel()
    await settled()
    await engine.finish("second")
    assert engine.begun == ["first", "second"]


async def test_without_a_size_nobody_waits() -> None:
    engine = Engine(0)
    for n in range(5):
        await engine.ask(f"{n}", THEIRS)
    assert len(engine.begun) == 5
    await engine.finish(*engine.begun)
