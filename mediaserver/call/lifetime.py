"""What a session and its call share: how the peer is controlled, and whether the stream is over."""

import asyncio

from mediaserver.call.peer_control import PeerControl
from mediaserver.call.stream import Stream
from mediaserver.transport.closing import End


class Lifetime:
    """One stream, from its begin to its end.

    It refers neither to the session nor to the call, which both refer to it: a stream that is over is let go of at
    once, without a garbage collection.
    """

    __slots__ = ("control", "end", "hanging_up", "over", "stream", "task")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream  # what is known of it; the peer may name itself later
        self.control = PeerControl()
        self.hanging_up = False  # the call is to end with the stream
        self.end: End | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # done when `end` is known
        self.task: asyncio.Task[None] | None = None  # in which the handler works

    def finish(self, end: End) -> None:
        """End the stream; the first reason given stands."""
        if self.end is None:
            self.end = end
            self.over.set_result(None)
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        """Not at once: a handler that closes its stream as the last thing it does must not be cancelled after."""
        if self.task is not None:
            self.task.cancel()
