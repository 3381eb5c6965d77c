"""The lag of the event loop: what is observed, and what the log tells of it."""

import asyncio

from structlog.testing import capture_logs

from mediaserver.runtime.loop_lag import LoopLagMonitor
from tests.virtual import NS, VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_lag_that_callers_hear_is_logged_once_a_minute(loop: VirtualLoop) -> None:
    lags: list[float] = []
    monitor = LoopLagMonitor(lags.append)

    async def hold_up(seconds: float) -> list[float]:
        """Let a callback end so long after the time of the next measurement, and return what is logged."""
        with capture_logs() as lines:
            loop.now_ns += round((1 + seconds) * NS)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert {line["event"] for line in lines} <= {"event loop held up"}
        return [line["seconds"] for line in lines]

    assert await hold_up(0.9) == []
    assert await hold_up(2.0) == [2.0]
    assert await hold_up(3.0) == []
    await asyncio.sleep(60)
    assert await hold_up(1.25) == [1.2]
    monitor.stop()
    assert [round(lag, 2) for lag in lags if lag > 0.001] == [0.9, 2.0, 3.0, 1.25]
