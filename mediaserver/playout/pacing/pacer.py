"""The pacer of one stream decides when frames are sent, over which connection, and when the stream must wait.

At each tick, a stream runs nothing but an iterator, which makes the next message. All other code runs only when a
source begins, ends or fails, when the peer is slow, or when the session calls the pacer.

When a stream begins, it sends a few frames at once, and stays ahead of its schedule by these frames, its lead. The
far end thus has audio to play while the network is late. After `hold`, the stream sends only silence until its
peer's first audio.
"""

from collections.abc import Callable

from mediaserver.playout.pacing.playback_queue import Playback
from mediaserver.playout.pacing.sequencer import Sequencer, cannot_flush
from mediaserver.playout.pacing.slow_peer import SlowPeer
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.pacing.transport import Transport
from mediaserver.wire.wire import Wire

_LISTEN_NS = 10_000_000  # ns for which a stream waits for the peer's first message if that decides our framing


def _ignore_stall() -> None:
    """Do nothing when a peer takes no data: the default of the pacer's `on_stalled`."""


class Pacer(Sequencer):
    """Sends one stream's frames on the ticker's schedule.

    `on_stalled` is called when a slow peer has not taken all that was written within `stall_timeout` seconds.
    """

    def __init__(
        self,
        ticker: Ticker,
        wire: Wire,
        transport: Transport,
        on_stalled: Callable[[], None] = _ignore_stall,
        stall_timeout: float = 10.0,
    ) -> None:
        super().__init__(ticker, wire, transport)
        self._slow_peer, self.on_stalled = SlowPeer(stall_timeout), on_stalled
        self._started = self._xoff = False  # whether sending was started; whether the far end has sent XOFF

    def start(self) -> None:
        """Start sending over the current connection, at the next tick of the ticker's slot for this stream."""
        self._started, self._lead_due = True, self._writer.wire.lead
        self._join_slot()

    def stop(self) -> None:
        """Stop sending for good. The current source ends; its future's result tells how much was played."""
        self.pause()
        # Drop the functions that refer to the session.
        self.on_stalled, self.flush_peer = _ignore_stall, cannot_flush
        self.cancel_all(fade=False)

    def write_partial_frame(self) -> None:
        """If the peer's frames are longer than 20 ms, fill up the unfinished one with silence, and send it."""
        self._writer.write_partial_frame()

    def xoff(self) -> None:
        """Send nothing until `xon`, as the far end's queue is full (XOFF); the current source keeps its place."""
        self._xoff = True
        self._leave_slot()

    def xon(self) -> None:
        """Send again, as the far end's queue has room (XON)."""
        self._xoff = False
        self._join_slot()

    def pause(self) -> None:
        """Send nothing until the next `start`, as the connection is lost; the current source keeps its place."""
        self._started = False
        self._slow_peer.cancel()
        self._leave_slot()
        self._ticker.run_overdue()  # the connections of many streams may be lost in one turn of the event loop

    def reconnect(self, wire: Wire, transport: Transport) -> None:
        """Use another connection. The next `start` continues the current source where it was paused."""
        self._leave_slot()
        self._writer.use_connection(wire, transport)
        self._xoff = False
        self._suspend_current()

    @property
    def lead(self) -> int:
        """By how many frames the stream is sent ahead of the time at which the far end plays it."""
        return self._lead

    @property
    def playing(self) -> str:
        """The name of the source that plays now, such as a prompt's name; "" for silence."""
        return self._queue.current.source.playing if self._queue.current is not None else ""

    @property
    def upcoming(self) -> bytes | None:
        """Some PCM of live audio that plays next, before any gain; b"" for silence, None where it is not known."""
        return self._queue.current.source.upcoming if self._queue.current is not None else b""

    @property
    def playbacks(self) -> list[Playback]:
        """All sources that play or wait, in the order of their turns."""
        return self._queue.playbacks

    @property
    def underruns(self) -> int:
        """How many frames of silence were sent because a source's audio was not there in time."""
        return self._queue.underruns

    @property
    def late_ticks(self) -> int:
        """How many frames were sent after their time, to catch up after the process had stalled."""
        return self._membership.late_ticks

    @property
    def skipped_ticks(self) -> int:
        """How many frames were skipped because the process had stalled; the schedule has moved by as many."""
        return self._membership.skipped_ticks

    @property
    def stalls(self) -> int:
        """How many times the stream had to wait because its peer read too slowly."""
        return self._slow_peer.stalls

    @property
    def stalled(self) -> float:
        """For how many seconds, in all, the stream had to wait because its peer read too slowly."""
        return self._slow_peer.waited

    def check_send_buffer(self) -> None:
        """Pause the stream if its peer is slow, so that no messages pile up. The current source stays in place."""
        if self._slow_peer.is_slow(self._writer.transport) and self._membership.joined:
            self._leave_slot()
            self._slow_peer.wait_until_drained(self._writer.transport, self._join_slot, self.on_stalled)

    def _join_slot(self) -> None:
        if self._started and not (self._membership.joined or self._xoff or self._slow_peer.waiting):
            wire = self._writer.wire
            self._membership.join(self, self._messages, wire.lead, _LISTEN_NS if wire.awaits_first_message else 0)

    def _leave_slot(self) -> None:
        self._membership.leave(self)
        # `frames` must not count frames that are still due, because they are never sent.
        self._extra_frames -= self._frames_due
        self._frames_due = 0
