"""A stream that records its ticks, for tests of the ticker in virtual time."""

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import repeat

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import Ticker
from tests.virtual import FakeTransport, VirtualLoop


class RecordingStream:
    """A stream that records the milliseconds of its ticks."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.transport = FakeTransport(loop)
        self.messages: Iterator[bytes] = repeat(b"frame")
        self.checks = 0

    @property
    def ticks_at(self) -> list[float]:
        return self.transport.times

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
