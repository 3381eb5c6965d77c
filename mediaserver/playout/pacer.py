"""One stream's playout: what it sends at each tick, source after source, and silence in between.

On the hot path a pacer is one iterator, which takes the next message and writes it. Everything else happens where
a source ends, begins or fails, where the peer is slow, and where somebody asks.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

from mediaserver.playout.slow_peer import SlowPeer, Transport
from mediaserver.playout.sources import SOURCE_FAULTS, Heard, Source
from mediaserver.playout.ticker import Slot, Ticker
from mediaserver.wire.encapsulation import Encoding, Wire

_LISTEN_NS = 10_000_000  # at least so long a peer may speak first where its framing decides ours


def _nobody() -> None:
    """Is told of a stall where nobody else is."""


def _watched(watcher: Callable[[Encoding, bytes], None], encoding: Encoding, item: bytes) -> bytes:
    watcher(encoding, item)
    return item


@dataclass(slots=True)
class _Playing:
    source: Source
    done: asyncio.Future[Heard]
    started: int = 0  # frames of the stream before its first


class Pacer:
    """Plays sources on one stream, queued end to end; between them, and before and after, silence.

    `stalled` is called when the peer has taken nothing for `stall_timeout` seconds.
    """

    def __init__(
        self,
        ticker: Ticker,
        wire: Wire,
        transport: Transport,
        stalled: Callable[[], None] = _nobody,
        stall_timeout: float = 10.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticker, self._wire, self._transport = ticker, wire, transport
        self._slow_peer, self._stalled = SlowPeer(stall_timeout), stalled
        self._nothing: Iterator[None] = iter(())  # sent before the start, and while it is settled what comes next
        self._sending = self._nothing
        self._playing: _Playing | None = None
        self._queue: deque[_Playing] = deque()
        self._silent = True  # the last message sent was silence, or there was none
        self._owed = 0  # frames due while it is being settled what follows a source
        self._watchers: tuple[Callable[[Encoding, bytes], None], ...] = ()
        self._slot: Slot | None = None
        self._joined_at = (0, 0, 0)
        self._sent = self._late = self._skipped = self._underruns = 0

    # -- for the session -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send from now on, beginning at the slot's next turn."""
        self._slot = slot = self._ticker.join(self, self._sending, _LISTEN_NS if self._wire.listening else 0)
        self._joined_at = slot.fired, slot.late, slot.skipped

    def stop(self) -> None:
        """Send nothing more, ever. What plays is cut off, and whoever waits for it is told how much was heard."""
        self.pause()
        self._stalled = _nobody  # or a stream would refer to itself, and only garbage collection free it
        self.clear()

    def play(self, source: Source) -> asyncio.Future[Heard]:
        """Play a source after those queued before it. The future tells how much was sent, or why it broke."""
        playing = _Playing(source, self._loop.create_future())
        self._queue.append(playing)
        if self._playing is None and self._steady:
            self._begin()
        return playing.done

    def clear(self) -> None:
        """Stop what plays and forget what is queued: silence from the next tick on."""
        while self._queue:
            self._finish(self._queue.pop(), complete=False)
        if self._playing is not None:
            self._finish(self._playing, complete=False)
            if self._steady:
                self._begin()

    def drop(self, done: asyncio.Future[Heard]) -> None:
        """Stop, or never begin, the one source that `done` is the future of."""
        if self._playing is not None and self._playing.done is done:
            self._finish(self._playing, complete=False)
            if self._steady:
                self._begin()
        for queued in [queued for queued in self._queue if queued.done is done]:
            self._queue.remove(queued)

    def observe(self, data: bytes) -> None:
        """Take in a binary message of the peer's: it may settle how we must speak, even in mid-prompt."""
        if self._wire.observe(data):
            self._go_on()

    def pause(self) -> None:
        """Send nothing for now: the connection is gone. What plays keeps its place."""
        self._slow_peer.forget()
        self._leave()

    def connect(self, wire: Wire, transport: Transport) -> None:
        """There is another connection, for `start` to go on with where it was paused."""
        self._wire, self._transport = wire, transport
        self._silent = True
        self._go_on()

    @contextlib.contextmanager
    def watch(self, sent: Callable[[Encoding, bytes], None]) -> Iterator[None]:
        """Give every item to `sent` as it goes out, with its encoding; it must return at once."""
        self._watchers = (*self._watchers, sent)
        self._go_on()
        try:
            yield
        finally:
            self._watchers = tuple(watcher for watcher in self._watchers if watcher is not sent)
            self._go_on()

    @property
    def frames(self) -> int:
        """Frames sent."""
        return self._sent + (self._slot.fired - self._joined_at[0] - self._owed if self._slot else 0)

    @property
    def late(self) -> int:
        """Frames sent after their time, to catch up."""
        return self._late + (self._slot.late - self._joined_at[1] if self._slot else 0)

    @property
    def skipped(self) -> int:
        """Frames' worth of time by which this stream's schedule has moved."""
        return self._skipped + (self._slot.skipped - self._joined_at[2] if self._slot else 0)

    @property
    def stalls(self) -> int:
        """How often the peer was too slow."""
        return self._slow_peer.stalls

    @property
    def underruns(self) -> int:
        """Frames of silence sent in place of sound that was not there in time."""
        return self._underruns + (self._playing.source.underruns if self._playing is not None else 0)

    # -- for the ticker: none of these may raise, whatever a source or a transport does ---------------------------

    def advance(self) -> None:
        """A frame is due and the iterator is at its end: the source is over, or the stream begins.

        Whoever waits for the source first gets a turn of the loop to play the next one: its first frame then
        still goes out in this tick, so plays that follow each other are gapless.
        """
        if self._playing is not None:
            self._finish(self._playing, complete=True, unsent=1)
        self._owe()

    def fail(self, error: BaseException) -> None:
        """The source broke: its player is told, and something else is heard. Or the transport is gone."""
        if self._transport.is_closing():
            self._loop.call_soon(self.pause)
        else:
            self._break(error)
            self._owe()

    def check(self) -> None:
        """Pause a stream whose peer does not take what is sent: its place is kept, and nothing piles up."""
        if self._slow_peer.is_slow(self._transport) and self._slot is not None:
            self._leave()
            self._slow_peer.wait_for(self._transport, self.start, self._stalled)

    # -- in between ----------------------------------------------------------------------------------------------

    @property
    def _steady(self) -> bool:
        """Under way, and not just settling what comes next."""
        return self._sending is not self._nothing

    def _go_on(self) -> None:
        """Ask what plays for its items again, from where it is: how they are to be sent has changed."""
        if self._steady:
            try:
                self._use(self._heard_of(self._playing) if self._playing is not None else 0)
            except SOURCE_FAULTS as error:
                self._break(error)
                self._begin()

    def _leave(self) -> None:
        if self._slot is not None:
            self._sent, self._late, self._skipped = self.frames, self.late, self.skipped
            self._ticker.leave(self, self._slot)
            self._slot, self._owed = None, 0

    def _owe(self) -> None:
        """A frame of this tick is still to be sent, as soon as it is settled from what."""
        self._owed += 1
        self._ticker.frames -= 1
        self._send(self._nothing)
        if self._owed == 1:
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Send the frames owed, from whatever plays now."""
        if self._slot is None:
            return  # stopped or paused meanwhile: nothing is due any more
        self._wire.settle()
        self._begin()
        while self._owed:
            try:
                next(self._sending)
            except StopIteration:  # a source without a single frame
                if self._playing is not None:
                    self._finish(self._playing, complete=True)
                self._begin()
            except SOURCE_FAULTS as error:
                if self._transport.is_closing():
                    self._loop.call_soon(self.pause)
                    return
                self._break(error)
                self._begin()
            else:
                self._owed -= 1
                self._ticker.frames += 1

    def _begin(self) -> None:
        """Turn to the next source in the queue that can be played, or to silence."""
        while self._queue:
            self._playing = self._queue.popleft()
            self._playing.started = self.frames
            try:
                self._use(0)
            except SOURCE_FAULTS as error:
                self._break(error)
            else:
                return
        self._use(0)

    def _use(self, start: int) -> None:
        encoding, silent = self._wire.encoding, self._playing is None
        items: Iterator[bytes] = repeat(encoding.silence)
        if self._playing is not None:
            items = self._playing.source.items(encoding, start)
        for watcher in self._watchers:
            items = map(partial(_watched, watcher, encoding), items)
        if self._wire.marks_talkspurts:
            items = chain(self._turn(silent), items)
        self._send(map(self._transport.write, self._wire.messages(items)))

    def _send(self, sending: Iterator[None]) -> None:
        """From the next tick on, this."""
        self._sending = sending
        if self._slot is not None:
            self._slot.replace(self, sending)

    def _turn(self, silent: bool) -> Iterator[bytes]:
        """No item, but what is to happen when the first one is asked for."""
        if silent or self._silent:
            self._wire.talkspurt(begins=not silent)  # a source that had no frame leaves no mark on the silence
        self._silent = silent
        yield from ()

    def _heard_of(self, playing: _Playing, unsent: int = 0) -> int:
        return max(0, self.frames - unsent - playing.started - playing.source.underruns)

    def _finish(self, playing: _Playing, *, complete: bool, unsent: int = 0) -> None:
        """A source is over: its player is told how much of it was heard."""
        current = playing is self._playing
        heard = Heard(self._heard_of(playing, unsent) if current else 0, complete)
        if current:
            self._retire(playing)
        if not playing.done.done():
            playing.done.set_result(heard)

    def _break(self, error: BaseException) -> None:
        """What plays broke: its player is told."""
        playing = self._playing
        if playing is not None:
            self._retire(playing)
            if not isinstance(error, Exception) or isinstance(error, StopIteration):  # futures do not take these
                fault: Exception = RuntimeError(f"the source raised {type(error).__name__}")
                fault.__cause__ = error
            else:
                fault = error
            if not playing.done.done():
                playing.done.set_exception(fault)

    def _retire(self, playing: _Playing) -> None:
        self._underruns += playing.source.underruns
        self._playing = None
