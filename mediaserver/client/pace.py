"""A rate limit on our side: turns, one after another with a gap between them, in place of bursts."""

import asyncio


class Pace:
    """Gives turns, first come, first served, with at least 1 / `rate` seconds between two of them."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()  # asyncio's locks are fair
        self._next = 0.0  # when there is another turn, by the loop's clock

    async def turn(self, rate: float) -> None:
        """Wait for a turn; the first one is at once.

        A caller that is cancelled while it waits leaves its turn to the next in line.
        """
        clock = asyncio.get_running_loop().time
        async with self._lock:
            await asyncio.sleep(self._next - clock())
            self._next = max(self._next, clock()) + 1 / rate  # a timer may fire a little early
