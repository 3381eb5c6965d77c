"""The state that a session and its call share: which stream it is, how its peer is controlled, why it ended."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from mediaserver.call.closings import Closings
from mediaserver.call.control.peer_control import PeerControl
from mediaserver.call.played_sounds import PlayedSounds
from mediaserver.call.problems import Failures
from mediaserver.call.recording.recordings import Recordings
from mediaserver.call.stream import Clock, Stream
from mediaserver.transport.closing import End
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination

Work = Coroutine[Any, Any, None]  # the coroutine of a handler
CallSoon = Callable[[Callable[[], None]], object]  # has the event loop call a function soon


class Lifetime:
    """One stream, from its beginning to its end.

    A `Lifetime` refers neither to its session nor to its call, which both refer to it. Without a cycle of
    references, a stream that is over is freed at once, not only by a garbage collection.

    `call_soon` calls the function that ends the handler, by default in the event loop's next turn.
    """

    __slots__ = (
        "_call_soon",
        "_successor",
        "closings",
        "control",
        "end",
        "failures",
        "hanging_up",
        "next",
        "over",
        "played",
        "recordings",
        "stream",
        "task",
    )

    def __init__(self, stream: Stream, clock: Clock, call_soon: CallSoon | None = None) -> None:
        self.stream = stream  # the stream's identity, replaced if the peer names itself or its call later
        self.control = PeerControl()
        self.closings = Closings()  # the handlers' own connections that are being closed
        self.recordings = Recordings()
        self.failures, self.played = Failures(), PlayedSounds(clock)
        self.hanging_up = False  # whether the peer is to hang the call up when the stream ends
        self.next: Destination | Sequence[Action] | None = None  # where the call goes when the stream ends
        self.end: End | None = None
        loop = asyncio.get_running_loop()
        self._call_soon: CallSoon = call_soon or loop.call_soon
        self.over: asyncio.Future[None] = loop.create_future()  # done when `end` is known
        self.task: asyncio.Task[None] | None = None  # the task that runs the handler
        self._successor: Callable[[], Work] | None = None  # begins the work that is to replace the present work

    async def run(self, work: Work) -> None:
        """Run the work of a handler in this task, which becomes `task`; then run the work that replaces it."""
        self.task = asyncio.current_task()
        try:
            if self._successor is None:
                await self._run_until_replaced(work)
            else:  # the work is replaced before it has begun
                work.close()
            while self._successor is not None and self.end is None:
                begin, self._successor = self._successor, None
                self.hanging_up, self.next = False, None  # forget what the earlier handler asked for
                await self._run_until_replaced(begin())
        finally:
            self._successor = None  # the function refers to the session, which would be a reference cycle

    @property
    def replacing(self) -> bool:
        """Whether the handler's work is to be replaced by other work, and has not ended yet."""
        return self._successor is not None

    def replace_work(self, begin: Callable[[], Work]) -> None:
        """Cancel the handler's work, and then run what `begin` returns. Not to be called while `replacing`."""
        if self.task is not None:
            self.task.cancel()
        self._successor = begin

    async def _run_until_replaced(self, work: Work) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if self._successor is None or self.end is not None:
                raise
        if self._successor is None or self.end is not None or self.task is None:
            return
        if self.task.uncancel():  # the task was cancelled twice: once to replace the work, and once to end
            raise asyncio.CancelledError

    def identify(self, uuid: str) -> None:
        """Add an AudioSocket peer's UUID to the variables, and make it the call's id where the call has none."""
        stream = self.stream
        call = stream.call or ("" if stream.resource else uuid)
        self.stream = replace(stream, call=call, variables={"uuid": uuid, **stream.variables})

    def hang_up(self) -> None:
        """Have the peer hang up the call when the stream ends, in place of a transfer or actions."""
        self.hanging_up, self.next = True, None

    def lead_to(self, destination: Destination | Sequence[Action]) -> None:
        """Have the call transferred to a destination, or actions of its flow executed, when the stream ends.

        CallControlError where the peer cannot do that.
        """
        self.control.require(destination)
        self.hanging_up, self.next = False, destination

    def conclude(self) -> None:
        """Have the peer hang up or transfer the call after the stream, or run actions, as the handler asked."""
        if self.next is not None:
            self.control.lead_to(self.next)
        elif self.hanging_up:
            self.control.hang_up()

    def finish(self, end: End) -> None:
        """End the stream, and cancel its handler. Only the first call has an effect."""
        if self.end is None:
            self.end = end
            self.over.set_result(None)
            self._call_soon(self._cancel)

    def _cancel(self) -> None:
        """Cancel the handler.

        This runs a turn of the loop or more after `finish`, so that a handler that called `finish` can return
        first.
        """
        if self.task is not None:
            self.task.cancel()
