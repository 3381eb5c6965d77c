"""Closes connections that a call needs no more, such as to a bridged application, while the call goes on."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from mediaserver.support.cancellation import uninterrupted

MAX_CLOSINGS = 8  # the most connections of one call that are being closed at the same time

log = structlog.get_logger()


class Closings:
    """The connections of one call that are being closed. `unanswered` counts the closes that no peer answered.

    A peer that does not answer thus delays neither the handler's next step nor the handler that replaces it. The
    end of the stream waits for all of them.
    """

    __slots__ = ("_tasks", "unanswered")

    def __init__(self) -> None:
        # Whether each is cancelled, because there were too many; the oldest first.
        self._tasks: dict[asyncio.Task[bool], bool] = {}
        self.unanswered = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, close: Coroutine[Any, Any, bool]) -> None:
        """Run `close`, which closes a connection, and returns whether the peer has answered.

        `close` must end within a few seconds. It is cancelled, and must then abort its connection, when too many
        others have begun since.
        """
        loop = asyncio.get_running_loop()
        closing = [task for task, aborting in self._tasks.items() if not aborting]
        if len(closing) >= MAX_CLOSINGS:
            oldest = closing[0]
            self._tasks[oldest] = True
            # Not at once: a task that is cancelled before it has begun never runs `close`, which then could not
            # abort its connection. A task begins in the turn of the event loop after `create_task`.
            loop.call_soon(oldest.cancel)
        task = loop.create_task(close)
        self._tasks[task] = False
        task.add_done_callback(self._on_done)

    async def wait(self) -> None:
        """Wait until all connections are closed, because the stream ends."""
        if self._tasks:
            await uninterrupted(asyncio.wait([*self._tasks]))

    def _on_done(self, task: "asyncio.Task[bool]") -> None:
        del self._tasks[task]
        error = task.exception() if not task.cancelled() else None
        if error is not None:
            log.error("connection close failed", exc_info=error)
        self.unanswered += task.cancelled() or error is not None or not task.result()
