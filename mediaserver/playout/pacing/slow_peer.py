"""A peer that does not take what it is sent: its stream waits, and is given up in the end."""

import asyncio
from collections.abc import Callable
from typing import Protocol

MAX_BUFFERED = 4096  # bytes the transport may hold back (12 frames) before the peer counts as slow
_PROBE = 0.1  # seconds between looks at a slow peer


class Transport(Protocol):
    """Where messages go: the part of `asyncio.WriteTransport` that a pacer uses."""

    def write(self, data: bytes) -> None:
        """Send a whole message, or hold it back until the peer takes it."""

    def get_write_buffer_size(self) -> int:
        """Bytes held back."""

    def is_closing(self) -> bool:
        """Whether the connection is at its end."""


class SlowPeer:
    """Waits for a slow peer, `timeout` seconds at most."""

    def __init__(self, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._probe: asyncio.TimerHandle | None = None
        self._since = 0.0
        self.stalls = 0

    @property
    def waiting(self) -> bool:
        """Whether it waits now."""
        return self._probe is not None

    def is_slow(self, transport: Transport) -> bool:
        """Whether too much is held back."""
        return transport.get_write_buffer_size() > MAX_BUFFERED

    def wait_for(self, transport: Transport, again: Callable[[], None], stalled: Callable[[], None]) -> None:
        """Look every so often: call `again` when it took all, `stalled` when it has not in time."""
        self.stalls += 1
        self._since = self._loop.time()
        self._probe = self._loop.call_later(_PROBE, self._look, transport, again, stalled)

    def forget(self) -> None:
        """Look no more."""
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None

    def _look(self, transport: Transport, again: Callable[[], None], stalled: Callable[[], None]) -> None:
        self._probe = None
        if not transport.get_write_buffer_size():
            again()
        elif self._loop.time() - self._since >= self._timeout:
            stalled()
        else:
            self._probe = self._loop.call_later(_PROBE, self._look, transport, again, stalled)
