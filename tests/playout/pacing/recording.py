"""A stream that records its ticks, for tests of the ticker in virtual time."""

import asyncio
from functools import partial

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import Ticker
from tests.virtual import VirtualLoop


class RecordingStream:
    """A stream that records the milliseconds of its ticks."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.ticks_at: list[float] = []
        self.writes = map(self.ticks_at.append, iter(lambda: loop.now_ns / 1_000_000, None))
        self.checks = 0

    def on_source_end(self) -> None:
        raise AssertionError("never at its end")

    def on_write_error(self, error: BaseException) -> None:
        raise error

    def check_send_buffer(self) -> None:
        self.checks += 1


def ticker_on(loop: VirtualLoop) -> Ticker:
    return Ticker(partial(CallAtAlarm, loop), loop.clock)


async def pass_time(loop: VirtualLoop, until_ms: float) -> None:
    await asyncio.sleep(until_ms / 1000 - loop.time())
