"""The soak test itself: all tasks that run at the same time, from the server's start to its end."""

import asyncio
import random
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console

from mediaserver.client import dial

from .calls import Caller
from .crowd import Crowd
from .formats import FORMATS
from .hostile import Hostile
from .progress import Progress
from .prompts import Prompts, passed
from .report import Report
from .schedule import MachineLag
from .server import Server
from .tally import Tally
from .watch import History, Watcher

_LONGEST_CALL, _LONGEST_PROMPT = 60.0, 20.0  # seconds
_TO_GO = 8.0  # seconds before the end from which no more hostile peers come, so that the last can be disconnected
_WARM_UP = 0.1  # the warm-up, as a share of the test's duration


@dataclass(frozen=True)
class Plan:
    """The plan of a soak test: `calls` calls at a time for `seconds` seconds, with a seed for random choices."""

    seconds: float
    calls: int
    seed: int

    def every(self, seconds: float, share: int = 20) -> float:
        """An interval in seconds, shortened for a short test so that everything happens at least `share` times."""
        return min(seconds, self.seconds / share)


async def soak(plan: Plan, console: Console) -> Report:
    """Start a server, test it, and end it. Ctrl-C ends the test early, with a report."""
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, over.set)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        rng = random.Random(plan.seed)
        prompts = Prompts(folder / "prompts", random.Random(rng.random()), min(_LONGEST_PROMPT, plan.seconds / 4))
        server = await Server.start(folder)
        try:
            return await _soak(plan, console, server, prompts, over, rng)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            server.kill()


async def _soak(
    plan: Plan, console: Console, server: Server, prompts: Prompts, over: asyncio.Event, rng: random.Random
) -> Report:
    tally, history, lag = Tally(), History(plan.seconds * _WARM_UP), MachineLag()
    caller = Caller(prompts, server.recordings, rng, min(_LONGEST_CALL, plan.seconds / 2))
    crowd = Crowd(server.url, caller, tally, lag, rng, over)
    hostile = Hostile(server.url, tally, rng)
    async with dial.client_session() as client, aiohttp.ClientSession() as admin:
        begin = await server.rest(admin)
        watching = asyncio.create_task(lag.watch(server.process.pid))
        watcher = Watcher(server, crowd, tally, history)
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(_end(over, plan.seconds))
            group.create_task(Progress(console, tally, history, plan.seconds).show(over))
            group.create_task(watcher.watch(admin, over, plan.every(5.0)))
            group.create_task(prompts.change(over, plan.every(10.0)))
            group.create_task(server.reload(over, plan.every(20.0, share=5), rng))
            group.create_task(hostile.come(over, plan.every(1.0), max(plan.seconds - _TO_GO, plan.seconds / 2)))
            for _ in range(plan.calls):
                group.create_task(crowd.call(client, plan.seconds * _WARM_UP))
        end = await server.rest(admin)
        code = await _shut_down(server, crowd, caller, client, over)
        watching.cancel()
    return Report(
        seconds=ending.result(),
        seed=plan.seed,
        tally=tally,
        history=history,
        begin=begin,
        end=end,
        changes=prompts.changes,
        reloads=server.reloads,
        taken_in=sum(line["event"] == "configuration reloaded" for line in server.log()),
        errors=server.errors(),
        unfinished=[file.name for file in server.recordings.glob("*.part")],
        own_lag=lag.worst,
        server_code=code,
    )


async def _end(over: asyncio.Event, seconds: float) -> float:
    """Set `over` after `seconds`, unless it is set before; return the seconds that have passed."""
    began = time.monotonic()
    await passed(over, seconds)
    over.set()
    return time.monotonic() - began


async def _shut_down(
    server: Server, crowd: Crowd, caller: Caller, client: aiohttp.ClientSession, over: asyncio.Event
) -> int | None:
    """Shut the server down during calls, which may end by themselves or be ended. Returns its exit code."""
    over.clear()
    calls = [
        asyncio.create_task(crowd.make(client, caller.playback(form, seconds=2.0 + number), leaving=True))
        for number, form in enumerate(FORMATS)
    ]
    await asyncio.sleep(1.0)
    code = await server.stop()
    over.set()
    await asyncio.gather(*calls)
    return code
