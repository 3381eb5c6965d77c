"""The sequencer of one stream: what it sends at each tick, source after source, and silence in between.

The sequencer knows nothing of when the stream sends, which the pacer decides.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from mediaserver.playout.pacing.frame_writer import FlushObserver, FrameObserver, FrameWriter, ignore_flushed
from mediaserver.playout.pacing.playback_queue import PlaybackQueue
from mediaserver.playout.pacing.slot_membership import SlotMembership
from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.sources.source import SOURCE_FAULTS, PlaybackResult, Source
from mediaserver.wire.wire import Wire


def cannot_flush() -> bool:
    """The default of `flush_peer`: most far ends play whatever they were sent, and cannot drop any of it."""
    return False


class Sequencer(ABC):
    """Plays sources on one stream, queued end to end; between them, and before and after, silence."""

    def __init__(self, ticker: Ticker, wire: Wire, transport: Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticker, self._membership = ticker, SlotMembership(ticker)
        self._writer = FrameWriter(wire, transport)
        self._queue = PlaybackQueue()
        self._nothing: Iterator[None] = iter(())  # `_writes` while no source is chosen
        self._writes = self._nothing  # writes a frame at each tick
        self._frames_due = 0  # ticks whose frames are still to be sent, once the next source is chosen
        self._lead_due = 0  # frames to be sent ahead of their time, together with the next frame
        self._lead = 0  # frames of the last lead sent, by which the stream runs ahead
        self._extra_frames = 0  # frames of all leads, less the frames that were due but never sent
        self._on_hold = False  # if True, the stream sends silence, and sources wait
        self.flush_peer: Callable[[], bool] = cannot_flush  # drops the far end's queue; returns False if it cannot

    @abstractmethod
    def pause(self) -> None:
        """The connection is lost: send nothing until the next start. The current source keeps its place."""

    @abstractmethod
    def check_send_buffer(self) -> None:
        """Check whether the peer still takes what is sent."""

    # -- for the session and its handler -------------------------------------------------------------------------

    def play(self, source: Source) -> asyncio.Future[PlaybackResult]:
        """Queue a source. The future tells how much of the source was played, or raises the source's error."""
        done = self._queue.append(source)
        if self._queue.current is None and self._writing:
            self._begin_next()
        return done

    def cancel_all(self) -> None:
        """Stop the current source, and drop the waiting ones: the stream sends silence from the next tick on."""
        self._queue.cancel_waiting(self.frames)
        self._interrupt()

    def cancel(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Stop, or never begin, the source whose future is `done`."""
        if self._queue.current is not None and self._queue.current.done is done:
            self._interrupt()
        self._queue.remove_waiting(done)

    def on_wire_changed(self) -> None:
        """Go on in the wire's new encoding, perhaps in mid-prompt, after the peer's messages have changed it."""
        self._restart_writes()

    def hold(self) -> None:
        """Send silence from the next start on, until `release`, because the far end does not hear us yet."""
        self._on_hold = True

    def release(self) -> None:
        """The far end hears us now: play the waiting sources from the next tick on, ahead by the lead."""
        if self._on_hold:
            self._on_hold = False
            self._send_lead()

    @contextlib.contextmanager
    def observe(self, on_frame: FrameObserver, on_flushed: FlushObserver = ignore_flushed) -> Iterator[None]:
        """Give each frame, with its encoding, to `on_frame` as the frame is sent; `on_frame` must return at once.

        `on_flushed` is called when the far end has dropped the last frames sent, unplayed; it is told how many.
        """
        self._writer.add_observer(on_frame, on_flushed)
        self._restart_writes()
        try:
            yield
        finally:
            self._writer.remove_observer(on_frame)
            self._restart_writes()

    @property
    def frames(self) -> int:
        """Frames that the stream has sent."""
        return self._membership.ticks + self._extra_frames - self._frames_due

    @property
    def underruns(self) -> int:
        """Frames of silence sent in place of audio that was not there in time."""
        return self._queue.underruns

    # -- for the ticker: none of these methods may raise, whatever a source or a transport does -------------------

    def on_source_end(self) -> None:
        """A frame is due, and the iterator of writes is at its end: end the source, or begin the stream.

        The task that waits for the source first gets a turn of the loop, in which it may play another source. The
        other source's first frame is still sent in this tick, so that no gap is heard between the two.
        """
        self._queue.finish_current(self.frames, complete=True, unsent=1)
        self._owe_frame()

    def on_write_error(self, error: BaseException) -> None:
        """Fail the current source, and turn to the next one; or pause the stream, if its transport is closing."""
        if self._writer.transport.is_closing():
            self._loop.call_soon(self.pause)
        else:
            self._queue.fail_current(error)
            self._owe_frame()

    # -- internals -----------------------------------------------------------------------------------------------

    @property
    def _writing(self) -> bool:
        """Whether the stream is under way, and what it sends next has been decided."""
        return self._writes is not self._nothing

    def _restart_writes(self) -> None:
        """The way to send frames has changed: ask the current source for its frames again, from its place on."""
        if self._writing:
            current = self._queue.current
            try:
                self._start_writes(current.played(self.frames) if current is not None else 0)
            except SOURCE_FAULTS as error:
                self._queue.fail_current(error)
                self._begin_next()

    def _interrupt(self) -> None:
        """Stop the current source, and drop its frames from the far end's queue, if that queue can be flushed.

        If it is flushed, the last frames, as many as the lead, count as not played; else they will be played.
        """
        if self._queue.current is None:
            return
        flushed = self.flush_peer()
        if flushed:
            self._writer.report_flushed(self._lead)
        self._queue.finish_current(self.frames, complete=False, unsent=self._lead if flushed else 0)
        if self._writing:
            self._begin_next()
        if flushed:
            self._writer.wire.flush()  # else the stopped source's partial frame would begin the next message
            self._send_lead()

    def _suspend_current(self) -> None:
        """Put the current source back in front of the queue: at its next turn, it goes on from its place."""
        self._writes = self._nothing
        self._queue.suspend_current(self.frames)

    def _send_lead(self) -> None:
        """Make the next tick send, besides its own frame, as many frames at once as the wire's lead has."""
        self._lead_due = self._writer.wire.lead
        if self._writing:
            self._suspend_current()
            self._set_writes(self._nothing)

    def _owe_frame(self) -> None:
        """Note that this tick's frame is still to be sent, as soon as it is decided what the stream sends next."""
        self._frames_due += 1
        self._ticker.frames -= 1
        self._set_writes(self._nothing)
        if self._frames_due == 1:
            self._loop.call_soon(self._send_due_frames)

    def _send_due_frames(self) -> None:
        """Send the frames that are due: of the sources that are next in the queue, else silence."""
        if not self._membership.joined or not self._frames_due:
            return  # stopped or paused meanwhile, or sent already: nothing is due any more
        self._writer.wire.fix_framing()
        if self._lead_due and not self._on_hold:
            self._extra_frames += self._lead_due
            self._frames_due += self._lead_due
            self._lead, self._lead_due = self._lead_due, 0
        self._begin_next()
        any_sent = False
        while self._frames_due:
            try:
                next(self._writes)
            except StopIteration:
                self._queue.finish_current(self.frames, complete=True)
                if any_sent:  # the task that waits for the source gets a turn first, as in `on_source_end`
                    self._set_writes(self._nothing)
                    self._loop.call_soon(self._send_due_frames)
                    return
                self._begin_next()  # the source had no frame
            except SOURCE_FAULTS as error:
                if not self._recover(error):
                    return
            else:
                any_sent = True
                self._frames_due -= 1
                self._ticker.frames += 1

    def _recover(self, error: BaseException) -> bool:
        """After a failed write, turn to the next source that can be played; False if the transport is closing.

        Where not even silence can be sent, an observer or the wire is at fault: the error is raised to the loop.
        """
        if self._writer.transport.is_closing() or self._queue.current is None:
            self._loop.call_soon(self.pause)
            if self._writer.transport.is_closing():
                return False
            raise error
        self._queue.fail_current(error)
        self._begin_next()
        return True

    def _begin_next(self) -> None:
        """Turn to the next source in the queue that can be played, or to silence."""
        while not self._on_hold and (playback := self._queue.begin_next()) is not None:
            try:
                self._start_writes(playback.begin(self.frames))
            except SOURCE_FAULTS as error:
                self._queue.fail_current(error)
            else:
                return
        self._start_writes(0)

    def _start_writes(self, start: int) -> None:
        """Write the current source from frame `start`, or silence, from the next tick on."""
        current = self._queue.current
        self._set_writes(self._writer.iter_writes(current.source if current is not None else None, start))

    def _set_writes(self, writes: Iterator[None]) -> None:
        self._writes = writes
        self._membership.replace(self, writes)
