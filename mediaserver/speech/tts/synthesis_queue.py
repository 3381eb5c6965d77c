"""The queue of sentences that wait for a TTS engine.

The URL paths of calls take turns, so that a URL path with many calls does not keep other calls waiting. Sentences
of untrusted texts, which any unknown peer may have written, come last.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class Origin(NamedTuple):
    """The URL path pattern whose handler speaks a text, and whether an unknown peer wrote any of the text."""

    path: str = ""
    untrusted: bool = False


TRUSTED = Origin()


class QueueTicket:
    """The place of one sentence in the queue. Once `started` is set, the sentence is being synthesised."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.started = asyncio.Event()


class SynthesisQueue:
    """Lets sentences be synthesised: at most `size` sentences at a time, or any number if `size` is 0.

    A sentence that is being synthesised holds a slot. Sentences of trusted texts get slots before sentences of
    untrusted texts. Within each of these two groups the URL paths take turns (round robin), and the sentences of
    one URL path are served in the order of their arrival. If `size` is 2 or more, sentences of untrusted texts
    leave one slot free.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._busy = self._busy_untrusted = 0
        # The waiting tickets by URL path, for trusted texts (key False) and untrusted texts (key True). The first
        # URL path is served next.
        self._waiting: dict[bool, dict[str, deque[QueueTicket]]] = {False: {}, True: {}}

    @asynccontextmanager
    async def slot(self, ticket: QueueTicket) -> AsyncIterator[None]:
        """Wait until a ticket's sentence may be synthesised. The sentence holds a slot until the context ends."""
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
        """Serve a waiting sentence as trusted from now on, if a text of the trusted `origin` also needs it."""
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
        """Give free slots to the tickets that are next in turn, which starts the synthesis of their sentences."""
        for untrusted, waiting in self._waiting.items():
            while waiting and self._has_free_slot(untrusted):
                path = next(iter(waiting))
                tickets = waiting.pop(path)
                ticket = tickets.popleft()
                if tickets:
                    waiting[path] = tickets  # puts this URL path last, so that all others have their turn first
                self._busy += 1
                self._busy_untrusted += untrusted
                ticket.started.set()

    def _has_free_slot(self, untrusted: bool) -> bool:
        if not self._size:
            return True
        return self._busy < self._size and not (untrusted and self._busy_untrusted >= max(1, self._size - 1))
