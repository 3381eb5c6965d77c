"""The sequencer of one stream decides what is sent at each tick: source after source, and silence in between.

The pacer, a subclass of the sequencer, decides when the stream sends.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.pacing.frame_writer import FrameWriter
from mediaserver.playout.pacing.output_mix import OutputMix
from mediaserver.playout.pacing.playback_queue import PlaybackQueue
from mediaserver.playout.pacing.slot_membership import SlotMembership
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.pacing.transport import Transport
from mediaserver.playout.sources.source import SOURCE_FAULTS, PlaybackResult, Source
from mediaserver.wire.wire import Wire


def cannot_flush() -> bool:
    """Return False, as most far ends cannot drop audio that they were sent: the default of `flush_peer`."""
    return False


class Sequencer(OutputMix):
    """Plays the queued sources of one stream one after another, and silence while no source plays."""

    def __init__(self, ticker: Ticker, wire: Wire, transport: Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticker, self._membership = ticker, SlotMembership(ticker)
        self._writer = FrameWriter(wire, transport)
        self._queue = PlaybackQueue()
        self._nothing: Iterator[bytes] = iter(())  # the value of `_messages` until it is decided what is sent next
        self._messages = self._nothing  # an iterator of messages, one for each tick
        self._frames_due = 0  # number of frames that are due, and will be sent once the next source is chosen
        self._lead_due = 0  # number of frames to be sent ahead of their time, together with the next frame
        self._lead = 0  # number of frames by which the stream runs ahead of its schedule
        self._extra_frames = 0  # number of frames sent as leads, minus the frames that were due but never sent
        self._on_hold = False  # while True, the stream sends silence, and sources wait
        self.flush_peer: Callable[[], bool] = cannot_flush  # empties the far end's queue; False if it cannot

    @property
    def transport(self) -> Transport:
        """The current connection."""
        return self._writer.transport

    @abstractmethod
    def pause(self) -> None:
        """Send nothing until the next start, as the connection is lost; the current source keeps its place."""

    @abstractmethod
    def check_send_buffer(self) -> None:
        """Check whether the peer reads fast enough, and pause the stream if it does not."""

    # -- called by the session and its handler -------------------------------------------------------------------

    def play(self, source: Source) -> asyncio.Future[PlaybackResult]:
        """Queue a source.

        Returns a future whose result tells how much of the source was played. If the source raises an error, the
        future raises this error.
        """
        done = self._queue.append(source)
        if self._queue.current is None and self._writing:
            self._begin_next()
        return done

    def interject(self, source: Source) -> asyncio.Future[PlaybackResult]:
        """Play a source at once. The current source fades out in 5 ms, waits, and goes on where it was stopped.

        The future is like the one that `play` returns. On a stream on hold, the source is put first in the queue.
        """
        done = self._queue.append(source)
        self.bring_forward(done)
        return done

    def bring_forward(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Play a waiting source at once, as `interject` does. Do nothing if it has had a turn already."""
        if not self._queue.awaits_first_turn(done):
            return
        current = self._queue.current
        heard = current is not None and not current.fading and current.is_heard(self.frames)
        ending = self._faded_end() if heard and self._writing else b""
        self._queue.suspend_current(self.frames)
        self._queue.bring_forward(done)
        self._begin_next_after(ending)

    def cancel_all(self, *, fade: bool = True) -> None:
        """End the current source and all waiting ones: the stream sends silence, after a fade of 5 ms.

        If `fade` is False, silence begins at the next tick.
        """
        self._queue.cancel_waiting(self.frames)
        self._interrupt(fade)

    def silence_all(self) -> None:
        """Stop the sound of the current source, by a fade of 5 ms, and of waiting ones, without ending them all.

        A live source drops the audio that waits in it, and plays what arrives later. A loop is heard no more, but
        its future is not done until `cancel`, `cancel_all` or the stream's end. All other sources end, except
        sources that waited behind a loop: they are played now.
        """
        self._queue.silence_waiting(self.frames)
        self._interrupt(end=self._queue.silence_current)

    def cancel(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Stop the source whose future is `done`, or take it out of the queue if it waits."""
        if self._queue.current is not None and self._queue.current.done is done:
            self._interrupt()
        self._queue.remove_waiting(done, self.frames)

    def withdraw(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Take the source whose future is `done` out of the queue if it waits; if it plays, it goes on."""
        self._queue.remove_waiting(done, self.frames)

    def on_wire_changed(self) -> None:
        """Continue in the wire's new encoding, which the peer's messages have changed, even amid a prompt."""
        self._restart_messages()

    def hold(self) -> None:
        """Send silence from the next start until `release`: the far end may drop audio before its own begins."""
        self._on_hold = True

    def release(self) -> None:
        """End `hold`: play the waiting sources from the next tick on, by the lead (a few frames) ahead of time."""
        if self._on_hold:
            self._on_hold = False
            self._send_lead()

    @property
    def frames(self) -> int:
        """How many frames the stream has sent."""
        return self._membership.ticks + self._extra_frames - self._frames_due

    # -- called by the ticker: these methods must not raise, whatever a source or a transport does ----------------

    def on_source_end(self) -> None:
        """End the current source, if there is one, because a frame is due and the messages are exhausted.

        The frame is sent after one turn of the event loop. In this turn, the task that waits for the source's end
        may play another source. The first frame of the new source is then sent in this tick, without a gap.
        """
        self._queue.finish_current(self.frames, complete=True, unsent=1)
        self._owe_frame()

    def on_write_error(self, error: BaseException) -> None:
        """End the current source with `error`, and begin the next one; if the transport is closing, pause."""
        if self._writer.transport.is_closing():
            self._loop.call_soon(self.pause)
        else:
            self._queue.fail_current(error)
            self._owe_frame()

    # -- what is sent next ---------------------------------------------------------------------------------------

    @property
    def _writing(self) -> bool:
        """Whether it is decided what the stream sends next: a source's frames, or silence."""
        return self._messages is not self._nothing

    def _restart_messages(self) -> None:
        """Continue the current source by a new iterator of messages, because the encoding or observers changed."""
        if self._writing:
            current = self._queue.current
            try:
                self._start_messages(current.played(self.frames) if current is not None else 0)
            except SOURCE_FAULTS as error:
                self._queue.fail_current(error)
                self._begin_next()

    def _interrupt(self, fade: bool = True, *, end: Callable[..., None] | None = None) -> None:
        """Stop the current source, and have the far end drop the source's queued frames, if it can.

        `end` is the queue's method that takes the turn from the source; by default, it ends the source. If the far
        end drops the frames, the last ones sent, as many as the lead, count as not played. If it cannot drop them,
        it plays them to their end, and the source fades out in the next frame.
        """
        current = self._queue.current
        if current is None or (fade and current.fading):
            return
        flushed = self.flush_peer()
        if flushed:
            self._writer.report_flushed(self._lead)
        fade = fade and self._writing and not flushed and current.is_heard(self.frames)
        ending = self._faded_end() if fade else b""
        end = end or partial(self._queue.finish_current, complete=False)
        end(self.frames, unsent=self._lead if flushed else 0)
        self._begin_next_after(ending)
        if flushed:
            self._writer.wire.flush()  # discard a partial frame, so that it does not begin the next message
            self._send_lead()

    def _faded_end(self) -> bytes:
        """PCM of the frame in which the current source fades out; b"" if this frame would be silent."""
        try:
            frame = fade_out(self._writer.take_next_frame())
        except SOURCE_FAULTS:  # the source is being stopped, so its error no longer matters
            return b""
        return frame if frame != SILENCE else b""

    def _begin_next_after(self, ending: bytes) -> None:
        """Begin the fade-out of a stopped source, if there is one, or else the next source in the queue."""
        if ending:
            self._start_messages(self._queue.begin_fade(Source((ending,))).begin(self.frames))
        elif self._writing:
            self._begin_next()

    def _suspend_current(self) -> None:
        """Make the current source the first of the waiting ones; its next turn continues where it was stopped."""
        self._messages = self._nothing
        self._queue.suspend_current(self.frames)

    def _send_lead(self) -> None:
        """Make the next tick send the wire's lead: that many frames at once, besides the frame that is due."""
        self._lead_due = self._writer.wire.lead
        if self._writing:
            self._suspend_current()
            self._set_messages(self._nothing)

    def _owe_frame(self) -> None:
        """Put off this tick's frame to the event loop's next turn.

        By then the handler has had its turn, and may have queued the next source.
        """
        self._ticker.frames -= 1
        if not self._membership.joined:
            self._extra_frames -= 1  # the stream has left within this tick, which counts as one of its own
            return
        self._frames_due += 1
        self._set_messages(self._nothing)
        if self._frames_due == 1:
            self._loop.call_soon(self._send_due_frames)

    def _send_due_frames(self) -> None:
        """Send the frames that are due, from the next sources in the queue; if no source waits, send silence."""
        if not self._membership.joined or not self._frames_due:
            return  # the stream was stopped or paused meanwhile, or the frames were sent already
        self._writer.wire.fix_framing()
        if self._lead_due and not self._on_hold:
            self._extra_frames += self._lead_due
            self._frames_due += self._lead_due
            self._lead, self._lead_due = self._lead_due, 0
        self._begin_next()
        any_sent = False
        while self._frames_due:
            try:
                self._writer.transport.write(next(self._messages))
            except StopIteration:
                self._queue.finish_current(self.frames, complete=True)
                if any_sent:  # let the task that waits for the source run first: it may play another source
                    self._set_messages(self._nothing)
                    self._loop.call_soon(self._send_due_frames)
                    return
                self._begin_next()  # the source that was just begun has no frames
            except SOURCE_FAULTS as error:
                if not self._recover(error):
                    return
            else:
                any_sent = True
                self._frames_due -= 1
                self._ticker.frames += 1

    def _recover(self, error: BaseException) -> bool:
        """After a failed write, begin the next source that can be played; False if the transport is closing.

        If no source was being played, a frame observer or the wire is at fault, so the error is raised again.
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
        """Begin the next source in the queue that can be played; if there is none, begin silence."""
        while not self._on_hold and (playback := self._queue.begin_next()) is not None:
            try:
                self._start_messages(playback.begin(self.frames))
            except SOURCE_FAULTS as error:
                self._queue.fail_current(error)
            else:
                return
        self._start_messages(0)

    def _start_messages(self, start: int) -> None:
        """Send the current source from frame `start`, or silence, from the next tick on."""
        current = self._queue.current
        source = current.source if current is not None else None
        self._set_messages(self._writer.iter_messages(source, start, silenced=self._on_hold))

    def _set_messages(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self._membership.replace(self, messages)
