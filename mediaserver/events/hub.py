"""The event hub passes the events of all streams on to subscribers within the process, and keeps the latest ones.

The admin port's WebSockets are its subscribers. One that was disconnected continues after the last event that it
has seen, if that is still kept.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from mediaserver.events.envelope import Event

KEPT = 1000  # the latest events, kept for subscribers that come back
MAX_PENDING = 1000  # events that wait for one subscriber; the oldest are dropped

log = structlog.get_logger()


class HubEvent(NamedTuple):
    """One event of a stream. `sequence` counts the events of all streams from 1 on."""

    sequence: int
    stream: str
    kind: str
    data: Mapping[str, Any]
    json: str  # the event's envelope


EventFilter = Callable[[HubEvent], bool]


def _all(event: HubEvent) -> bool:
    return True


class Subscription:
    """The events for one subscriber. `async for` gives them in order, until the hub is closed."""

    def __init__(self, wanted: EventFilter) -> None:
        self._wanted = wanted
        self._pending: deque[HubEvent] = deque(maxlen=MAX_PENDING)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0  # events that were dropped because the subscriber lagged behind

    def push(self, event: HubEvent) -> None:
        """Queue an event, if it is wanted."""
        if self._wanted(event):
            self.dropped += len(self._pending) == MAX_PENDING
            self._pending.append(event)
            self._arrived.set()

    def close(self) -> None:
        """End the iteration after the events that are queued."""
        self._closed = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[HubEvent]:
        while True:
            while self._pending:
                yield self._pending.popleft()
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()


class EventHub:
    """The events of all streams of one server."""

    def __init__(self) -> None:
        self.sequence = 0  # of the latest event
        self._kept: deque[HubEvent] = deque(maxlen=KEPT)
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Pass an event on. The method returns at once and raises nothing; the data may change afterwards."""
        self.sequence += 1
        try:
            text = event.envelope(self.sequence)
        except Exception:  # a bug of ours must not stop the call
            log.exception("event not serializable", stream=event.stream, type=event.kind)
            return
        kept = HubEvent(self.sequence, event.stream, event.kind, event.data, text)
        self._kept.append(kept)
        for subscription in self._subscriptions:
            subscription.push(kept)

    def has_kept(self, stream: str) -> bool:
        """Whether an event of a stream is kept, be the stream over or not."""
        return any(event.stream == stream for event in self._kept)

    def subscribe(self, after: int | None = None, wanted: EventFilter = _all) -> tuple[Subscription, int | None]:
        """Subscribe to wanted events from now on, and, with `after`, to kept ones with a higher sequence.

        Returns the subscription, and how many events of all streams after `after` are kept no longer: None where
        this is unknown, because the server has been started anew since.
        """
        subscription = Subscription(wanted)
        missed: int | None = 0
        if after is not None:
            oldest = self._kept[0].sequence if self._kept else self.sequence + 1
            missed = max(0, oldest - after - 1) if after <= self.sequence else None
            for event in self._kept:
                if missed is None or event.sequence > after:
                    subscription.push(event)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        return subscription, missed

    def unsubscribe(self, subscription: Subscription) -> None:
        """Pass no more events on to a subscriber."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions, once their queued events are taken."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
