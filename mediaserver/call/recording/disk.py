"""A disk, where it must not hold anybody up: a thread does one thing after the other, and waits have an end."""

import asyncio
from collections.abc import Callable
from typing import Any

PATIENCE = 5.0  # seconds for it to do one thing; less than a server's shutdown waits


class Disk:
    """One user's way to the disk. What it is still at when its user is cancelled, it finishes first."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._hangs = False  # once given up, it is not waited for again
        self._work: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is at something."""
        return self._work is not None and not self._work.done()

    async def do(self, work: Callable[..., None], *args: Any) -> None:
        """Have it do something. OSError where that, or what it was at before, fails, or it does not answer."""
        await self._done()
        self._work = asyncio.ensure_future(asyncio.to_thread(work, *args))
        await self._done()

    async def _done(self) -> None:
        work = self._work
        if work is None:
            return
        if not work.done() and not self._hangs:
            await asyncio.wait([work], timeout=self._patience)
        if not work.done():
            self._hangs = True
            raise TimeoutError("the disk does not answer")
        self._work = None
        work.result()
