"""The pool of media ports: a port is leased to one call at a time."""

import asyncio
from collections import deque
from collections.abc import Iterable

# Seconds for which a port that was not dialled for its call is not leased again, as Asterisk may dial it late.
_QUARANTINE = 30.0


class PortPool:
    """Leases ports. The port that has been free for the longest time is leased first."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._free = deque(ports)
        self._quarantine: set[asyncio.TimerHandle] = set()
        self.leased = 0  # number of ports that are leased to calls now

    def acquire(self) -> int | None:
        """Lease a port, and return its number; None if no port is free."""
        if not self._free:
            return None
        self.leased += 1
        return self._free.popleft()

    def release(self, port: int, *, dialled: bool) -> None:
        """Take a leased port back. If the port was not `dialled`, it is leased to no other call for a while."""
        self.leased -= 1
        if dialled:
            self._free.append(port)
            return

        def end_quarantine() -> None:
            self._quarantine.discard(timer)
            self._free.append(port)

        timer = asyncio.get_running_loop().call_later(_QUARANTINE, end_quarantine)
        self._quarantine.add(timer)

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._quarantine:
            timer.cancel()
        self._quarantine.clear()
