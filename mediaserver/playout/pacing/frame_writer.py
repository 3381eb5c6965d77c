"""Writes a stream's frames to its connection, by its wire and its transport, and shows them to observers."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat

from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire

# A function that is given each encoded frame as the frame is sent.
FrameObserver = Callable[[Encoding, bytes], None]
# A function that is called when the far end has dropped the last frames sent, unplayed; it is told how many.
FlushObserver = Callable[[int], None]


def ignore_flushed(frames: int) -> None:
    """A flush observer that does nothing."""


def _observed(on_frame: FrameObserver, encoding: Encoding, frame: bytes) -> bytes:
    on_frame(encoding, frame)
    return frame


class FrameWriter:
    """The outbound side of one stream's connection."""

    __slots__ = ("_observers", "_silent", "transport", "wire")

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self.wire, self.transport = wire, transport
        self._observers: tuple[tuple[FrameObserver, FlushObserver], ...] = ()
        self._silent = True  # whether the last message was silence, or none was sent yet

    def use_connection(self, wire: Wire, transport: Transport) -> None:
        """Write to another connection from now on; observers stay."""
        self.wire, self.transport, self._silent = wire, transport, True

    def add_observer(self, on_frame: FrameObserver, on_flushed: FlushObserver) -> None:
        """Show each frame to an observer, in all iterators that `iter_writes` makes from now on."""
        self._observers = (*self._observers, (on_frame, on_flushed))

    def remove_observer(self, on_frame: FrameObserver) -> None:
        """Stop showing frames to that observer, in all iterators that `iter_writes` makes from now on."""
        self._observers = tuple(each for each in self._observers if each[0] is not on_frame)

    def report_flushed(self, frames: int) -> None:
        """Tell the observers that the far end has dropped the last `frames` frames without playing them."""
        for _, on_flushed in self._observers:
            on_flushed(frames)

    def iter_writes(self, source: Source | None, start: int = 0) -> Iterator[None]:
        """An iterator that writes a message at each `next`: of `source` from frame `start`, else of silence."""
        wire = self.wire
        encoding = wire.encoding
        frames = repeat(encoding.silence) if source is None else source.iter_frames(encoding, start)
        for on_frame, _ in self._observers:
            frames = map(partial(_observed, on_frame, encoding), frames)
        if wire.marks_talkspurts:
            frames = chain(self._mark_talkspurt(silent=source is None), frames)
        return map(self.transport.write, wire.messages(frames))

    def write_partial_frame(self) -> None:
        """Pad and send the peer's last frame if it is incomplete, as the peer's frames are longer than ours."""
        if (rest := self.wire.flush()) and not self.transport.is_closing():
            self.transport.write(rest)

    def _mark_talkspurt(self, *, silent: bool) -> Iterator[bytes]:
        """Yield no frame, but tell the wire, before the first frame, whether that frame begins a talkspurt."""
        if silent or self._silent:
            self.wire.mark_talkspurt(
                begins=not silent
            )  # silence takes back a mark that was set for a source that then had no frame
        self._silent = silent
        yield from ()
