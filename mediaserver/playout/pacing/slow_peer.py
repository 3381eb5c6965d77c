"""Detects a slow peer, which does not read what it is sent, and waits until the peer has read all of it.

The stream is closed if the peer takes too long.
"""

import asyncio
from collections.abc import Callable

from mediaserver.playout.pacing.transport import Transport

MAX_BUFFERED = 4096  # bytes (12 frames) that may wait in the transport's buffer before the peer counts as slow
_PROBE_INTERVAL = 0.1  # seconds between two checks whether a slow peer has read all that was sent


class SlowPeer:
    """Waits until a slow peer has read all that waits in the transport's buffer, for at most `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0  # the time at which the present wait began
        self._waited = 0.0  # seconds of all waits that are over
        self.stalls = 0

    @property
    def waiting(self) -> bool:
        """Whether the stream is paused now, until its slow peer has read all."""
        return self._timer is not None

    @property
    def waited(self) -> float:
        """Seconds for which the stream has been paused so far, in all."""
        return self._waited + (self._loop.time() - self._since if self.waiting else 0.0)

    def is_slow(self, transport: Transport) -> bool:
        """Whether more than `MAX_BUFFERED` bytes wait in the transport's buffer."""
        return transport.get_write_buffer_size() > MAX_BUFFERED

    def wait_until_drained(
        self, transport: Transport, on_drained: Callable[[], None], on_stalled: Callable[[], None]
    ) -> None:
        """Call `on_drained` once the transport's buffer is empty, or `on_stalled` once the timeout is over."""
        self.stalls += 1
        self._since = self._loop.time()
        self._timer = self._loop.call_later(_PROBE_INTERVAL, self._probe, transport, on_drained, on_stalled)

    def cancel(self) -> None:
        """Stop waiting; neither `on_drained` nor `on_stalled` is called."""
        if self._timer is not None:
            self._timer.cancel()
            self._end_wait()

    def _probe(self, transport: Transport, on_drained: Callable[[], None], on_stalled: Callable[[], None]) -> None:
        if not transport.get_write_buffer_size():
            self._end_wait()
            on_drained()
        elif self._loop.time() - self._since >= self._timeout:
            self._end_wait()
            on_stalled()
        else:
            self._timer = self._loop.call_later(_PROBE_INTERVAL, self._probe, transport, on_drained, on_stalled)

    def _end_wait(self) -> None:
        self._waited, self._timer = self.waited, None
