"""What is heard of the peer: its messages become events while somebody listens, and nothing is kept otherwise."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from mediaserver.audio.pcm import FRAME_BYTES, frames_in
from mediaserver.errors import ProtocolError
from mediaserver.wire.encapsulation import Encapsulation, Wire
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.jitter import Jitter, JitterBuffer

MAX_EVENTS = 250  # kept for a listener that lags behind: five seconds of audio
Take = Callable[[Event], None]


class Hearing:
    """The inbound half of a stream. Listeners are given each event as it comes, in order, at once."""

    def __init__(self, wire: Wire, clock: Callable[[], float]) -> None:
        self._wire, self._clock = wire, clock
        self._listeners: tuple[Take, ...] = ()
        self._paused_at: float | None = None
        self.received = 0  # binary messages from the peer
        self.malformed = 0  # of these, not in the wire format
        self.dropped = 0  # events that an iterator's reader was too slow for

    def pause(self) -> None:
        """Nothing is heard for now: the connection is gone."""
        self._pass_on(self._wire.inbound.buffer.flush())
        self._paused_at = self._clock()

    def use(self, wire: Wire) -> None:
        """The peer is heard over another connection from now on; the time without one was silence."""
        self._wire = wire
        if self._paused_at is not None:
            frames = frames_in(self._clock() - self._paused_at)
            self._paused_at = None
            self._pass_on([Audio(bytes(frames * FRAME_BYTES), concealed=True)] if frames else [])

    @property
    def encapsulation(self) -> Encapsulation:
        """What the peer speaks."""
        return self._wire.settings.encapsulation

    @property
    def reception(self) -> tuple[JitterBuffer, Jitter]:
        """How the present connection's audio arrived, since somebody began to listen."""
        return self._wire.inbound.buffer, self._wire.inbound.jitter

    def receive(self, data: bytes) -> None:
        """Take in a binary message."""
        self.received += 1
        if not self._listeners:
            return
        try:
            events = self._wire.inbound.depacketize(data, self._clock())
        except ProtocolError:
            self.malformed += 1
        else:
            self._pass_on(events)

    def _pass_on(self, events: Iterable[Event]) -> None:
        for event in events:
            for take in self._listeners:
                take(event)

    @contextlib.contextmanager
    def listen(self, take: Take) -> Iterator[None]:
        """Give every event to `take`, which returns at once. Any number may listen."""
        if not self._listeners:
            self._wire.inbound.begin()  # what came while nobody listened is not missing
        self._listeners = (*self._listeners, take)
        try:
            yield
        finally:
            self._listeners = tuple(listener for listener in self._listeners if listener is not take)

    async def events(self) -> AsyncIterator[Event]:
        """Events to iterate over, from now on. At most 250 wait; the oldest give way and are counted."""
        waiting: deque[Event] = deque(maxlen=MAX_EVENTS)
        came = asyncio.Event()

        def take(event: Event) -> None:
            self.dropped += len(waiting) == MAX_EVENTS
            waiting.append(event)
            came.set()

        with self.listen(take):
            while True:
                while waiting:
                    yield waiting.popleft()
                came.clear()
                await came.wait()
