"""Writes a stream's frames to its connection in the stream's wire format, and passes them to observers."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat

from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire

# A function that is called for each frame as it is sent, with the frame's encoding and the encoded frame.
FrameObserver = Callable[[Encoding, bytes], None]
# A function that is called when the far end has dropped frames unplayed, with their number: the last ones sent.
FlushObserver = Callable[[int], None]


def ignore_flushed(frames: int) -> None:
    """Do nothing: the flush observer of a frame observer that need not know of dropped frames."""


def _observed(on_frame: FrameObserver, encoding: Encoding, frame: bytes) -> bytes:
    on_frame(encoding, frame)
    return frame


class FrameWriter:
    """Writes the frames of one stream to the stream's connection."""

    __slots__ = ("_frames", "_observers", "_silent", "transport", "wire")

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self.wire, self.transport = wire, transport
        self._observers: tuple[tuple[FrameObserver, FlushObserver], ...] = ()
        self._silent = True  # True before the first message, and where the last message was silence
        self._frames: Iterator[bytes] = iter(())  # encoded frames that are being written, not yet observed

    def use_connection(self, wire: Wire, transport: Transport) -> None:
        """Write to another connection from now on; the observers stay the same."""
        self.wire, self.transport, self._silent = wire, transport, True

    def add_observer(self, on_frame: FrameObserver, on_flushed: FlushObserver) -> None:
        """Pass each frame to an observer, in all iterators that `iter_writes` makes from now on."""
        self._observers = (*self._observers, (on_frame, on_flushed))

    def remove_observer(self, on_frame: FrameObserver) -> None:
        """Pass no frames to the observer, in all iterators that `iter_writes` makes from now on."""
        self._observers = tuple(each for each in self._observers if each[0] is not on_frame)

    def report_flushed(self, frames: int) -> None:
        """Tell the observers that the far end has dropped the last `frames` frames without playing them."""
        for _, on_flushed in self._observers:
            on_flushed(frames)

    def iter_writes(self, source: Source | None, start: int = 0) -> Iterator[None]:
        """Return an iterator that writes one message at each `next`.

        The messages carry the frames of `source` from frame `start` on; if `source` is None, they carry silence.
        """
        wire = self.wire
        encoding = wire.encoding
        frames = repeat(encoding.silence) if source is None else source.iter_frames(encoding, start)
        self._frames = frames
        for on_frame, _ in self._observers:
            frames = map(partial(_observed, on_frame, encoding), frames)
        if wire.marks_talkspurts:
            frames = chain(self._mark_talkspurt(silent=source is None), frames)
        return map(self.transport.write, wire.messages(frames))

    def take_next_frame(self) -> bytes:
        """Take the PCM of the frame that would be written next, which is not written then; b"" if there is none.

        The wire's encoding must be that of the latest `iter_writes`.
        """
        return self.wire.encoding.decode(next(self._frames, b""))

    def write_partial_frame(self) -> None:
        """Send the peer's last frame, filled up with silence, if the peer's frames are longer than 20 ms."""
        if (rest := self.wire.flush()) and not self.transport.is_closing():
            self.transport.write(rest)

    def _mark_talkspurt(self, *, silent: bool) -> Iterator[bytes]:
        """Yield no frame, but tell the wire, before the next frame, whether that frame begins a talkspurt."""
        if silent or self._silent:
            # Silence takes back a mark that was set for a source which then had no frame.
            self.wire.mark_talkspurt(begins=not silent)
        self._silent = silent
        yield from ()
