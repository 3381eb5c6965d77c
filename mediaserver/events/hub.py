"""The event hub passes the events of all streams on to subscribers within the process, and keeps the latest ones.

The admin port's WebSockets are its subscribers. A subscriber that was disconnected continues after the last event
that it has seen, if the events since then are still kept.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from mediaserver.events.envelope import Event

KEPT = 1000  # the number of latest events that are kept for subscribers that connect again
MAX_PENDING = 1000  # the maximum number of events that wait for one subscriber; beyond it, the oldest are dropped

log = structlog.get_logger()


class HubEvent(NamedTuple):
    """One event of a stream. `sequence` counts the events of all streams from 1 on."""

    sequence: int
    stream: str
    kind: str
    data: Mapping[str, Any]
    json: str  # the event's envelope, a JSON object


EventFilter = Callable[[HubEvent], bool]


def _all(event: HubEvent) -> bool:
    return True


class Subscription:
    """The events for one subscriber. `async for` yields them in order, until the hub is closed."""

    def __init__(self, wanted: EventFilter) -> None:
        self._wanted = wanted
        self._pending: deque[HubEvent] = deque(maxlen=MAX_PENDING)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0  # the number of events that were dropped because the subscriber read too slowly

    def push(self, event: HubEvent) -> None:
        """Queue an event for the subscriber, if the subscriber wants it."""
        if self._wanted(event):
            self.dropped += len(self._pending) == MAX_PENDING
            self._pending.append(event)
            self._arrived.set()

    def close(self) -> None:
        """End the subscriber's iteration after the events that are queued."""
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
    """Passes the events of all streams of one server on to subscribers."""

    def __init__(self) -> None:
        self.sequence = 0  # the sequence number of the latest event
        self._kept: deque[HubEvent] = deque(maxlen=KEPT)
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Pass an event on to subscribers. Returns at once, and raises nothing; its data may change afterwards."""
        self.sequence += 1
        try:
            text = event.envelope(self.sequence)
        except Exception:  # a bug in an event must not stop the call
            log.exception("event not serializable", stream=event.stream, type=event.kind)
            return
        kept = HubEvent(self.sequence, event.stream, event.kind, event.data, text)
        self._kept.append(kept)
        for subscription in self._subscriptions:
            subscription.push(kept)

    def has_kept(self, stream: str) -> bool:
        """Whether any event of a stream is kept. The stream may be over."""
        return any(event.stream == stream for event in self._kept)

    def subscribe(self, after: int | None = None, wanted: EventFilter = _all) -> tuple[Subscription, int | None]:
        """Subscribe to wanted events from now on, and to kept events whose sequence number is above `after`.

        Returns the subscription, and the number of events of all streams after `after` that are no longer kept;
        None where this number is unknown, because the server was started anew in the meantime.
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
        """Stop passing events on to a subscriber."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions. Their subscribers still get the queued events."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
