"""What is heard of the peer: its messages become events while somebody listens, and nothing is kept otherwise."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import NamedTuple

from mediaserver.audio.pcm import FRAME_BYTES, nearest_frame_count
from mediaserver.errors import ProtocolError
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.jitter import JitterBuffer
from mediaserver.wire.wire import Wire

MAX_EVENTS = 250  # kept for a listener that lags behind: five seconds of audio
Take = Callable[[Event], None]


def _ignore(error: Exception) -> None:
    """Is told of listeners' failures where nobody else is."""


def _overhear(event: Event) -> None:
    """Is told of what is no sound where nobody else is."""


def _go_on() -> None:
    """Is told that somebody listens where nobody else is."""


class Packets(NamedTuple):
    """Counts of RTP packets."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0

    @classmethod
    def of(cls, buffer: JitterBuffer) -> "Packets":
        """What a buffer has counted."""
        return cls(buffer.received, buffer.lost, buffer.late, buffer.duplicates)

    def plus(self, other: "Packets") -> "Packets":
        """Both together."""
        return Packets(*(one + another for one, another in zip(self, other, strict=True)))


class Receiver:
    """The inbound half of a stream. Listeners are given each event as it comes, in order, at once.

    `signalled` is given what is no sound, such as a hang-up, whether or not anybody listens. `listened` is called
    when somebody begins to listen where nobody did.
    """

    def __init__(
        self,
        wire: Wire,
        clock: Callable[[], float],
        failed: Callable[[Exception], None] = _ignore,
        signalled: Take = _overhear,
        listened: Callable[[], None] = _go_on,
    ) -> None:
        self.wire, self._clock, self._failed, self._signalled = wire, clock, failed, signalled
        self._listened = listened
        self._began: Callable[[], None] | None = None  # is called at the first sound
        self._listeners: tuple[Take, ...] = ()
        self._paused_at: float | None = None
        self._packets = Packets()
        self.received = 0  # binary messages from the peer
        self.malformed = 0  # of these, not in the wire format
        self.dropped = 0  # events that an iterator's reader was too slow for
        self.silent = True  # no sample but 0 so far
        self._samples = 0  # heard over connections before this one

    def close(self) -> None:
        """Nobody is told of anything any more, so that a stream does not refer to itself."""
        self._listeners, self._failed, self._signalled, self._began = (), _ignore, _overhear, None
        self._listened = _go_on

    def pause(self) -> None:
        """Nothing is heard for now: the connection is gone."""
        self._let_go()
        self._paused_at = self._clock()

    def use(self, wire: Wire) -> None:
        """The peer is heard over another connection from now on; the time without one was silence."""
        self._samples += self.wire.inbound.samples
        self.wire = wire
        if self._paused_at is not None:
            frames = nearest_frame_count(self._clock() - self._paused_at)
            self._paused_at = None
            self._pass_on([Audio(bytes(frames * FRAME_BYTES), concealed=True)] if frames else [])

    def _let_go(self) -> None:
        """Pass on what is held back for its order, and keep the counts: what comes next begins anew."""
        inbound = self.wire.inbound
        self._pass_on(inbound.buffer.flush())
        self._packets = self._packets.plus(Packets.of(inbound.buffer))
        inbound.reset()

    @property
    def packets(self) -> Packets:
        """What became of RTP packets while somebody listened, over all connections."""
        return self._packets.plus(Packets.of(self.wire.inbound.buffer))

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter now (RFC 3550, section 6.4.1)."""
        return self.wire.inbound.jitter.ms

    @property
    def samples(self) -> int:
        """Samples of decoded sound, at 8 kHz; what nobody listens to is not decoded."""
        return self._samples + self.wire.inbound.samples

    def when_heard(self, began: Callable[[], None]) -> None:
        """Call `began` once, at the next sound that comes."""
        self._began = began

    def receive(self, data: bytes) -> None:
        """Take in a binary message. A frame of sound that nobody listens to is counted, and not looked at."""
        self.received += 1
        inbound = self.wire.inbound
        if not self._listeners and len(data) == inbound.frame_size and self._began is None:
            return
        try:
            events = inbound.depacketize(data, self._clock())
        except ProtocolError:
            self.malformed += 1
        else:
            self._pass_on(events)

    def push(self, event: Event) -> None:
        """An event that came by another way than a binary message."""
        self._pass_on((event,))

    def _pass_on(self, events: Iterable[Event]) -> None:
        try:
            for event in events:
                if type(event) is Audio:
                    if self.silent:
                        self.silent = not event.pcm.strip(b"\0")
                    if self._began is not None and event.pcm:
                        began, self._began = self._began, None
                        began()
                else:
                    self._signalled(event)
                for take in self._listeners:
                    take(event)
        except Exception as error:  # a handler's own fault, which is not the reader's
            self._failed(error)

    def keep(self, take: Take) -> None:
        """Give every event to `take`, which returns at once, to the stream's end. Any number may listen."""
        if not self._listeners:
            self.wire.inbound.reset()  # what came while nobody listened is not missing
            self._listened()
        self._listeners = (*self._listeners, take)

    @contextlib.contextmanager
    def listen(self, take: Take) -> Iterator[None]:
        """The same, for a while."""
        self.keep(take)
        try:
            yield
        finally:
            if len(self._listeners) == 1:
                self._let_go()
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
