"""A queue of a call's events, for a handler that iterates over them in its own time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire.events import Event

MAX_EVENTS = 250  # the most events that are queued for a slow iterator: five seconds of audio


async def iterate_events(receiver: Receiver) -> AsyncIterator[Event]:
    """Iterate over a receiver's events from now on. If more than 250 are queued, the oldest are dropped."""
    pending: deque[Event] = deque(maxlen=MAX_EVENTS)
    arrived = asyncio.Event()

    def enqueue(event: Event) -> None:
        receiver.dropped += len(pending) == MAX_EVENTS
        pending.append(event)
        arrived.set()

    with receiver.listen(enqueue):
        while True:
            while pending:
                yield pending.popleft()
            arrived.clear()
            await arrived.wait()
