"""One stream's playout: what it sends at each tick, source after source, and silence in between.

On the hot path a pacer is one iterator, which takes the next message and writes it. Everything else happens where
a source ends, begins or fails, where the peer is slow, and where somebody asks.

A stream runs ahead of its time by a lead of a few frames, sent at once when it begins, so that the far end has
something to play while the network is late. A stream that waits for its peer's first sound (`hold`) sends silence.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.playout.pacing.outlet import Outlet, Recalled, Watcher, keep
from mediaserver.playout.pacing.playing import Playing
from mediaserver.playout.pacing.schedule import KeyPath
from mediaserver.playout.pacing.slow_peer import SlowPeer, Transport
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.sources.source import SOURCE_FAULTS, PlaybackResult, Source
from mediaserver.wire.wire import Wire

_LISTEN_NS = 10_000_000  # at least so long a peer may speak first where its framing decides ours


def _nobody() -> None:
    """Is told of a stall where nobody else is."""


def _keeps() -> bool:
    """Most far ends play whatever they were sent."""
    return False


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
        self._ticker, self._outlet = ticker, Outlet(wire, transport)
        self._slow_peer, self._stalled = SlowPeer(stall_timeout), stalled
        self._nothing: Iterator[None] = iter(())  # sent before the start, and while it is settled what comes next
        self._sending = self._nothing
        self._playing: Playing | None = None
        self._queue: deque[Playing] = deque()
        self._owed = 0  # frames due while it is being settled what follows a source
        self._ahead = 0  # frames to be sent at once, before their time, with the next one
        self._lead = 0  # frames by which the stream has run ahead
        self._held = False  # silence is sent, and what is to be played waits
        self._started = self._halted = False  # asked to send; told by the far end not to
        self.flush: Callable[[], bool] = _keeps  # has the far end forget what it has not played yet
        self._place = KeyPath(ticker)
        self._extra = self._underruns = 0  # frames sent ahead of their time; and silent ones, for want of sound

    # -- for the session -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send from now on, over the connection that there is, beginning at the slot's next turn."""
        self._started, self._ahead = True, self._outlet.wire.lead
        self._join()

    def stop(self) -> None:
        """Send nothing more, ever. What plays is cut off, and whoever waits for it is told how much was heard."""
        self.pause()
        # Or a stream would refer to itself, and only garbage collection free it.
        self._stalled, self.flush = _nobody, _keeps
        self.clear()

    def fill_up(self) -> None:
        """All has been sent: send what is left of the far end's last frame as well."""
        self._outlet.fill_up()

    def hold(self) -> None:
        """Send silence from the next start on, until released: the far end does not hear us yet."""
        self._held = True

    def release(self) -> None:
        """The far end hears us: play what waits, from the next tick on, ahead by the lead."""
        if self._held:
            self._held = False
            self._run_ahead()

    def halt(self) -> None:
        """Send nothing until told to proceed: the far end's queue is full. What plays keeps its place."""
        self._halted = True
        self._leave()

    def proceed(self) -> None:
        """The far end's queue has room again."""
        self._halted = False
        self._join()

    def play(self, source: Source) -> asyncio.Future[PlaybackResult]:
        """Play a source after those queued before it. The future tells how much was sent, or why it broke."""
        playing = Playing(source, self._loop.create_future())
        self._queue.append(playing)
        if self._playing is None and self._steady:
            self._begin()
        return playing.done

    def clear(self) -> None:
        """Stop what plays and forget what is queued: silence from the next tick on."""
        while self._queue:
            self._finish(self._queue.pop(), complete=False)
        self._cut()

    def drop(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Stop, or never begin, the one source that `done` is the future of."""
        if self._playing is not None and self._playing.done is done:
            self._cut()
        for queued in [queued for queued in self._queue if queued.done is done]:
            self._queue.remove(queued)

    def wire_changed(self) -> None:
        """The peer has settled how we must speak, perhaps in mid-prompt."""
        self._go_on()

    def pause(self) -> None:
        """Send nothing for now: the connection is gone. What plays keeps its place."""
        self._started = False
        self._slow_peer.forget()
        self._leave()

    def connect(self, wire: Wire, transport: Transport) -> None:
        """There is another connection, for `start` to go on with where it was paused."""
        self._outlet.connect(wire, transport)
        self._halted = False
        self._suspend()

    @contextlib.contextmanager
    def watch(self, sent: Watcher, recalled: Recalled = keep) -> Iterator[None]:
        """Give every item to `sent` as it goes out, with its encoding; it must return at once.

        `recalled` is told how many of the frames that were sent last the far end has forgotten, unheard.
        """
        self._outlet.add(sent, recalled)
        self._go_on()
        try:
            yield
        finally:
            self._outlet.remove(sent)
            self._go_on()

    @property
    def frames(self) -> int:
        """Frames sent."""
        return self._place.fired + self._extra - self._owed

    @property
    def late(self) -> int:
        """Frames sent after their time, to catch up."""
        return self._place.late

    @property
    def skipped(self) -> int:
        """Frames' worth of time by which this stream's schedule has moved."""
        return self._place.skipped

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
        if self._outlet.transport.is_closing():
            self._loop.call_soon(self.pause)
        else:
            self._break(error)
            self._owe()

    def check(self) -> None:
        """Pause a stream whose peer does not take what is sent: its place is kept, and nothing piles up."""
        if self._slow_peer.is_slow(self._outlet.transport) and self._place.taken:
            self._leave()
            self._slow_peer.wait_for(self._outlet.transport, self._join, self._stalled)

    # -- in between ----------------------------------------------------------------------------------------------

    @property
    def _steady(self) -> bool:
        """Under way, and not just settling what comes next."""
        return self._sending is not self._nothing

    def _go_on(self) -> None:
        """Ask what plays for its items again, from where it is: how they are to be sent has changed."""
        if self._steady:
            try:
                self._use(self._playing.heard(self.frames) if self._playing is not None else 0)
            except SOURCE_FAULTS as error:
                self._break(error)
                self._begin()

    def _cut(self) -> None:
        """Stop what plays, here and, where that can be, in the far end's queue.

        A far end that forgets its queue has not played the lead; elsewhere the lead still will be heard.
        """
        if self._playing is None:
            return
        flushed = self.flush()
        if flushed:
            self._outlet.recall(self._lead)
        self._finish(self._playing, complete=False, unsent=self._lead if flushed else 0)
        if self._steady:
            self._begin()
        if flushed:
            self._outlet.wire.flush()  # goes nowhere, or what was stopped would end in what comes next
            self._run_ahead()

    def _suspend(self) -> None:
        """Put what plays back in front of what is queued: it goes on from its place when its turn comes again."""
        playing, self._sending = self._playing, self._nothing
        if playing is not None:
            playing.suspend(self.frames)
            self._queue.appendleft(playing)
            self._playing = None

    def _run_ahead(self) -> None:
        """With the next frame, send as many more at once as the lead has."""
        self._ahead = self._outlet.wire.lead
        if self._steady:
            self._suspend()
            self._send(self._nothing)

    def _join(self) -> None:
        if self._started and not (self._place.taken or self._halted or self._slow_peer.waiting):
            wire = self._outlet.wire
            self._place.take(self, self._sending, wire.lead, _LISTEN_NS if wire.awaits_first_message else 0)

    def _leave(self) -> None:
        self._place.leave(self)
        self._extra -= self._owed  # due, and never sent
        self._owed = 0

    def _owe(self) -> None:
        """A frame of this tick is still to be sent, as soon as it is settled from what."""
        self._owed += 1
        self._ticker.frames -= 1
        self._send(self._nothing)
        if self._owed == 1:
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Send the frames owed, from whatever plays now."""
        if not self._place.taken or not self._owed:
            return  # stopped or paused meanwhile, or settled already: nothing is due any more
        self._outlet.wire.fix_framing()
        if self._ahead and not self._held:
            self._extra += self._ahead
            self._owed += self._ahead
            self._lead, self._ahead = self._ahead, 0
        self._begin()
        given = False
        while self._owed:
            try:
                next(self._sending)
            except StopIteration:
                if self._playing is not None:
                    self._finish(self._playing, complete=True)
                if given:  # its player first gets a turn, as in `advance`
                    self._send(self._nothing)
                    self._loop.call_soon(self._settle)
                    return
                self._begin()  # a source without a single frame
            except SOURCE_FAULTS as error:
                if not self._goes_on_after(error):
                    return
            else:
                given = True
                self._owed -= 1
                self._ticker.frames += 1

    def _goes_on_after(self, error: BaseException) -> bool:
        """What was to be sent broke: turn to the next thing that can be. False where the transport is gone.

        Where not even silence can be sent, a watcher is at fault, or the wire: the error is the loop's to tell.
        """
        if self._outlet.transport.is_closing() or self._playing is None:
            self._loop.call_soon(self.pause)
            if self._outlet.transport.is_closing():
                return False
            raise error
        self._break(error)
        self._begin()
        return True

    def _begin(self) -> None:
        """Turn to the next source in the queue that can be played, or to silence."""
        while self._queue and not self._held:
            self._playing = playing = self._queue.popleft()
            try:
                self._use(playing.begin(self.frames))
            except SOURCE_FAULTS as error:
                self._break(error)
            else:
                return
        self._use(0)

    def _use(self, start: int) -> None:
        self._send(self._outlet.sending(self._playing.source if self._playing is not None else None, start))

    def _send(self, sending: Iterator[None]) -> None:
        """From the next tick on, this."""
        self._sending = sending
        self._place.replace(self, sending)

    def _finish(self, playing: Playing, *, complete: bool, unsent: int = 0) -> None:
        """A source is over, or will never begin."""
        playing.finish(self.frames, complete=complete, unsent=unsent)
        self._retire(playing)

    def _break(self, error: BaseException) -> None:
        """What plays broke."""
        playing = self._playing
        if playing is not None:
            playing.fail(error)
            self._retire(playing)

    def _retire(self, playing: Playing) -> None:
        self._underruns += playing.source.underruns
        if playing is self._playing:
            self._playing = None
