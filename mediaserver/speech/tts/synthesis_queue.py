"""The queue of sentences that wait for a TTS engine.

Paths take turns, so that a path with many calls does not keep the others waiting. Sentences of untrusted texts,
which anybody who dials may write, come after all others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class Origin(NamedTuple):
    """The pattern of the path that a text comes from, and whether an unknown peer has written any of it."""

    path: str = ""
    untrusted: bool = False


TRUSTED = Origin()


class QueueTicket:
    """The place of one sentence in the queue. Once `started` is set, the sentence holds a slot."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.started = asyncio.Event()


class SynthesisQueue:
    """Grants slots, in which sentences are synthesised: at most `size` at a time, any number if `size` is 0.

    Trusted texts come before untrusted ones. Within each group the paths take turns (round robin), and the tickets
    of one path come in their order. Where there are several slots, untrusted texts leave one of them free.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._busy = self._busy_untrusted = 0
        # The waiting tickets, by whether they are untrusted, then by path. The first path has
        # the next turn.
        self._waiting: dict[bool, dict[str, deque[QueueTicket]]] = {False: {}, True: {}}

    @asynccontextmanager
    async def slot(self, ticket: QueueTicket) -> AsyncIterator[None]:
        """Wait for a slot, and hold it inside the context."""
        self._waiting[ticket.origin.untrusted].setdefault(ticket.origin.path, deque()).append(ticket)
        self._start_next()
        try:
            await ticket.started.wait()
            yield
        finally:
            if ticket.started.is_set():
                self._busy -= 1
                self._busy_untrusted -= ticket.origin.untrusted
            else:
                self._remove(ticket)
            self._start_next()

    def promote(self, ticket: QueueTicket, origin: Origin) -> None:
        """Move an untrusted ticket that still waits to a trusted `origin`, which has asked for the same text."""
        if ticket.origin.untrusted and not origin.untrusted and not ticket.started.is_set():
            self._remove(ticket)
            ticket.origin = origin
            self._waiting[False].setdefault(origin.path, deque()).append(ticket)
            self._start_next()

    def _remove(self, ticket: QueueTicket) -> None:
        waiting = self._waiting[ticket.origin.untrusted]
        path = ticket.origin.path
        waiting[path].remove(ticket)
        if not waiting[path]:
            del waiting[path]

    def _start_next(self) -> None:
        """Grant the free slots to the tickets whose turn comes next."""
        for untrusted, waiting in self._waiting.items():
            while waiting and self._has_free_slot(untrusted):
                path = next(iter(waiting))
                tickets = waiting.pop(path)
                ticket = tickets.popleft()
                if tickets:
                    waiting[path] = tickets  # put last, so that all other paths have their turn first
                self._busy += 1
                self._busy_untrusted += untrusted
                ticket.started.set()

    def _has_free_slot(self, untrusted: bool) -> bool:
        if not self._size:
            return True
        return self._busy < self._size and not (untrusted and self._busy_untrusted >= max(1, self._size - 1))
