"""The event hub passes the events of all streams on to subscribers within the process, and keeps the latest ones.

The admin port's WebSockets are its subscribers. A subscriber that was disconnected continues after the last event
that it has seen, if the events since then are still kept. The events of one stream are kept for longer, even after
its end, because an operator looks at a call when somebody has complained.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from mediaserver.events.envelope import Event

KEPT = 1000  # the number of latest events that are kept for subscribers that connect again
KEPT_OF_STREAM = 200  # the number of latest events of one stream that are kept for subscribers to this stream
KEPT_BY_STREAM = 10_000  # the number of events that are kept of all streams in this way: some 7 MB
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


class _StreamEvents:
    """The latest events of one stream, and how many earlier ones are kept no longer."""

    __slots__ = ("events", "missing", "over")

    def __init__(self) -> None:
        self.events: list[HubEvent] = []  # mostly of a few, for which a deque would take half a kilobyte
        self.missing = 0
        self.over = False  # whether the stream has emitted its last event


class EventHistory:
    """The latest events by stream. If there are too many in all, those of the stream that was quiet longest go."""

    def __init__(self) -> None:
        self._streams: OrderedDict[str, _StreamEvents] = OrderedDict()  # that with the latest event last
        self._total = 0

    def add(self, event: HubEvent) -> None:
        """Keep an event."""
        found = self._streams.setdefault(event.stream, _StreamEvents())
        self._streams.move_to_end(event.stream)
        found.events.append(event)
        self._total += 1
        if len(found.events) > KEPT_OF_STREAM:
            del found.events[0]
            found.missing += 1
            self._total -= 1
        while self._total > KEPT_BY_STREAM:
            self._drop_oldest()

    def end(self, stream: str) -> None:
        """Note that a stream has emitted its last event."""
        if (found := self._streams.get(stream)) is not None:
            found.over = True
            if not found.events:
                del self._streams[stream]

    def of(self, stream: str) -> Sequence[HubEvent]:
        """The events that are kept of a stream, the oldest first."""
        return found.events if (found := self._streams.get(stream)) is not None else ()

    def missing(self, stream: str, after: int) -> int:
        """How many events of a stream, of those after the sequence number `after`, may be kept no longer."""
        found = self._streams.get(stream)
        if found is None or (found.events and found.events[0].sequence <= after + 1):
            return 0
        return found.missing

    def _drop_oldest(self) -> None:
        stream, found = self._streams.popitem(last=False)
        self._total -= len(found.events)
        if not found.over:  # more events of the stream may come, and somebody may ask how many are missing
            found.missing += len(found.events)
            found.events.clear()
            self._streams[stream] = found


class EventHub:
    """Passes the events of all streams of one server on to subscribers."""

    def __init__(self) -> None:
        self.sequence = 0  # the sequence number of the latest event
        self._kept: deque[HubEvent] = deque(maxlen=KEPT)
        self._history = EventHistory()
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
        self._history.add(kept)
        for subscription in self._subscriptions:
            subscription.push(kept)

    def has_kept(self, stream: str) -> bool:
        """Whether any event of a stream is kept. The stream may be over."""
        return bool(self._history.of(stream))

    def subscribe(
        self, after: int | None = None, wanted: EventFilter = _all, stream: str = ""
    ) -> tuple[Subscription, int | None]:
        """Subscribe to wanted events from now on, and to kept events whose sequence number is above `after`.

        With a `stream`, only to events of that stream. Returns the subscription, and the number of events after
        `after`, of the stream or of all streams, that are no longer kept; None where this number is unknown,
        because the server was started anew in the meantime.
        """
        subscription = Subscription(
            wanted if not stream else lambda event: event.stream == stream and wanted(event)
        )
        missed: int | None = 0
        if after is not None:
            kept = self._history.of(stream) if stream else self._kept
            if after > self.sequence:
                missed = None
            elif stream:
                missed = self._history.missing(stream, after)
            else:
                missed = max(0, (kept[0].sequence if kept else self.sequence + 1) - after - 1)
            for event in kept:
                if missed is None or event.sequence > after:
                    subscription.push(event)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        return subscription, missed

    def end_stream(self, stream: str) -> None:
        """Note that a stream has emitted its last event."""
        self._history.end(stream)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop passing events on to a subscriber."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions. Their subscribers still get the queued events."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
