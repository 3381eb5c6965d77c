"""Makes what is written to a stream's connection of the stream's frames, and passes these to observers."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice, repeat

from mediaserver.audio.fade import fade_out
from mediaserver.audio.mixing import add
from mediaserver.playout.pacing.transport import Transport
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.output_gain import OutputGain
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire

# A function that is called for each frame just before it is sent, with the frame's encoding and the encoded frame.
FrameObserver = Callable[[Encoding, bytes], None]
# A function that is called when the far end has dropped the last frames sent without playing them. Its argument is
# the number of dropped frames.
FlushObserver = Callable[[int], None]


def ignore_flushed(frames: int) -> None:
    """Do nothing, for an observer of frames that need not know which frames the far end has dropped."""


def _mixed(encoding: Encoding, frame: bytes, overlay: bytes) -> bytes:
    return encoding.encode(add(encoding.decode(frame), overlay))


def _observed(on_frame: FrameObserver, encoding: Encoding, frame: bytes) -> bytes:
    on_frame(encoding, frame)
    return frame


class FrameWriter:
    """Makes the messages of one stream's frames, in the wire format of the stream's connection."""

    __slots__ = (
        "_background",
        "_encoding",
        "_ending",
        "_frames",
        "_observers",
        "_overlays",
        "_silent",
        "gain",
        "transport",
        "wire",
    )

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self.wire, self.transport = wire, transport
        self._observers: tuple[tuple[FrameObserver, FlushObserver], ...] = ()
        self._overlays: tuple[Iterator[bytes], ...] = ()
        self._silent = True  # True before the first message, and if the last message was silence
        self._frames: Iterator[bytes] = iter(())  # encoded frames of the source, as they are before mixing
        self._encoding = wire.encoding  # the encoding of the frames in `_frames`
        self._background: Background | None = None
        self._ending = b""  # PCM of the frame in which an earlier background fades out; b"" if there is none
        self.gain = OutputGain()  # the gain at which all frames are sent

    def use_connection(self, wire: Wire, transport: Transport) -> None:
        """Make messages for another connection from now on; the observers stay the same."""
        self.wire, self.transport, self._silent, self._ending = wire, transport, True, b""

    def use_background(self, background: Background | None) -> None:
        """Mix another background, or none, in all iterators that `iter_messages` makes from now on.

        The earlier background fades out in the next frame.
        """
        self._ending = fade_out(self._background.take_next_frame()) if self._background is not None else b""
        self._background = background

    def add_observer(self, on_frame: FrameObserver, on_flushed: FlushObserver) -> None:
        """Pass each frame to the observer `on_frame`, in all iterators that `iter_messages` makes from now on."""
        self._observers = (*self._observers, (on_frame, on_flushed))

    def remove_observer(self, on_frame: FrameObserver) -> None:
        """Pass no frames to the observer `on_frame`, in all iterators that `iter_messages` makes from now on."""
        self._observers = tuple(each for each in self._observers if each[0] is not on_frame)

    def add_overlay(self, frames: Iterator[bytes]) -> None:
        """Mix the PCM frames of an endless iterator into all iterators that `iter_messages` makes from now on."""
        self._overlays = (*self._overlays, frames)

    def remove_overlay(self, frames: Iterator[bytes]) -> None:
        """Stop mixing these PCM frames into the iterators that `iter_messages` makes from now on."""
        self._overlays = tuple(each for each in self._overlays if each is not frames)

    def report_flushed(self, frames: int) -> None:
        """Tell the observers that the far end has dropped the last `frames` frames without playing them."""
        for _, on_flushed in self._observers:
            on_flushed(frames)

    def iter_messages(self, source: Source | None, start: int = 0, *, silenced: bool = False) -> Iterator[bytes]:
        """Return an iterator of the messages that are to be written, one for each frame.

        The messages carry the frames of `source` from frame `start` on; if `source` is None, they carry silence.
        The background and the overlays are mixed into these frames, unless the stream is `silenced`. The sum is
        sent at the `gain`.
        """
        wire = self.wire
        encoding = wire.encoding
        background, overlays = (None, ()) if silenced else (self._background, self._overlays)
        own = encoding if background is None else background.source_encoding(encoding)
        frames = repeat(encoding.silence) if source is None else source.iter_frames(own, start)
        self._frames, self._encoding = frames, own
        if background is not None:
            frames = background.play(encoding) if source is None else background.mix(frames, encoding)
        if self._ending:
            frames = chain(self._mix_ending(frames, encoding), frames)
        for overlay in overlays:
            frames = map(partial(_mixed, encoding), frames, overlay)
        frames = self.gain.apply(frames, encoding)
        for on_frame, _ in self._observers:
            frames = map(partial(_observed, on_frame, encoding), frames)
        if wire.marks_talkspurts:
            silent = self.gain.is_silent or (source is None and background is None and not overlays)
            frames = chain(self._mark_talkspurt(silent=silent), frames)
        return wire.messages(frames)

    def take_next_frame(self) -> bytes:
        """Take the PCM of the source's next frame, which is not written then; b"" if there is none."""
        return self._encoding.decode(next(self._frames, b""))

    def write_partial_frame(self) -> None:
        """If the peer's frames are longer than 20 ms, fill up the unfinished one with silence, and send it."""
        if (rest := self.wire.flush()) and not self.transport.is_closing():
            self.transport.write(rest)

    def _mix_ending(self, frames: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
        """Yield the next of `frames`, mixed with the frame in which an earlier background fades out."""
        for frame in islice(frames, 1):
            ending, self._ending = self._ending, b""
            yield encoding.encode(add(encoding.decode(frame), ending))

    def _mark_talkspurt(self, *, silent: bool) -> Iterator[bytes]:
        """Yield no frame, but tell the wire, before the next frame, whether that frame begins a talkspurt."""
        if silent or self._silent:
            # Silence takes back the talkspurt mark that was set for a source which then had no frame.
            self.wire.mark_talkspurt(begins=not silent)
        self._silent = silent
        yield from ()
