"""The pacer of one stream: when it sends what its sequencer has, over which connection, and when it must wait.

On the hot path a stream is one iterator, which takes the next message and writes it. Everything else happens where
a source ends, begins or fails, where the peer is slow, and where the session or a handler asks for something.

When a stream begins, it sends a few frames at once, and stays ahead by this lead, so that the far end has
audio to play while the network is late. A stream that waits for its peer's first audio (`hold`) sends silence.
"""

from collections.abc import Callable

from mediaserver.playout.pacing.sequencer import Sequencer, cannot_flush
from mediaserver.playout.pacing.slow_peer import SlowPeer, Transport
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.wire.wire import Wire

_LISTEN_NS = 10_000_000  # the peer has at least this time to send first, where its framing decides ours


def _ignore_stall() -> None:
    """The default of `on_stalled`: do nothing."""


class Pacer(Sequencer):
    """Sends one stream's frames on the ticker's schedule.

    `on_stalled` is called when the peer has taken nothing for `stall_timeout` seconds.
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
        self._slow_peer, self._on_stalled = SlowPeer(stall_timeout), on_stalled
        self._started = self._xoff = False  # the session wants to send; the far end has sent XOFF

    def start(self) -> None:
        """Send from the slot's next tick on, over the current connection."""
        self._started, self._lead_due = True, self._writer.wire.lead
        self._join_slot()

    def stop(self) -> None:
        """Send nothing more, ever. The current source ends, and its future tells how much of it was played."""
        self.pause()
        self._on_stalled, self.flush_peer = _ignore_stall, cannot_flush  # breaks reference cycles with the session
        self.cancel_all()

    def write_partial_frame(self) -> None:
        """Complete the far end's last frame once all is sent, where the far end's frames are longer than ours."""
        self._writer.write_partial_frame()

    def xoff(self) -> None:
        """The far end's queue is full (XOFF): send nothing until `xon`. The current source keeps its place."""
        self._xoff = True
        self._leave_slot()

    def xon(self) -> None:
        """The far end's queue has room (XON): send again."""
        self._xoff = False
        self._join_slot()

    def pause(self) -> None:
        """The connection is lost: send nothing until the next start. The current source keeps its place."""
        self._started = False
        self._slow_peer.cancel()
        self._leave_slot()

    def reconnect(self, wire: Wire, transport: Transport) -> None:
        """Use another connection; `start` then goes on with the current source where it was paused."""
        self._writer.use_connection(wire, transport)
        self._xoff = False
        self._suspend_current()

    @property
    def late_ticks(self) -> int:
        """Frames sent after their time, to catch up."""
        return self._membership.late_ticks

    @property
    def skipped_ticks(self) -> int:
        """Frames never sent, because the process had stalled; the schedule has moved by as many frames."""
        return self._membership.skipped_ticks

    @property
    def stalls(self) -> int:
        """How often the stream had to wait for its peer."""
        return self._slow_peer.stalls

    def check_send_buffer(self) -> None:
        """Pause the stream of a slow peer: the current source keeps its place, and no messages pile up."""
        if self._slow_peer.is_slow(self._writer.transport) and self._membership.joined:
            self._leave_slot()
            self._slow_peer.wait_until_drained(self._writer.transport, self._join_slot, self._on_stalled)

    def _join_slot(self) -> None:
        if self._started and not (self._membership.joined or self._xoff or self._slow_peer.waiting):
            wire = self._writer.wire
            self._membership.join(self, self._writes, wire.lead, _LISTEN_NS if wire.awaits_first_message else 0)

    def _leave_slot(self) -> None:
        self._membership.leave(self)
        self._extra_frames -= self._frames_due  # frames that were due, and are never sent
        self._frames_due = 0
