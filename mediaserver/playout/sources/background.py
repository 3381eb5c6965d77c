"""Background sound: a loop that plays under all that its stream plays, and alone while nothing else is played.

While nothing else is played, the loop's encoded frames, which all streams share, are sent unchanged. Frames of
other sound are mixed with the loop one by one: the loop is lowered under that sound, and raised again later.
"""

from collections.abc import Iterator
from itertools import chain, count
from math import gcd
from operator import itemgetter

from mediaserver.audio.mixing import Ducker
from mediaserver.audio.pcm import FRAME_SAMPLES, SILENCE
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Segment
from mediaserver.wire.encapsulation import PCM, Encoding


class Background:
    """One stream's background: a `segment` that is repeated without a gap, and its gain.

    The segment must have samples, and must not raise errors. It is lowered by `ducking` dB under other sound.

    All iterators that `play` and `mix` return take frames from one loop. When one source ends and the next one
    begins, the loop therefore goes on. It stands still while none of its frames is sent.
    """

    def __init__(self, segment: Segment, ducking: float) -> None:
        self._segment = segment
        self._ducker = Ducker(ducking)
        self._encoding: Encoding | None = None  # the encoding of the loop's frames; None before the first frame
        self._loop = Playlist(Repeated([segment], None))
        self._frames: Iterator[bytes] = iter(())
        self._taken = count()  # counts the frames taken from the loop
        # Number of the loop's underruns for which a fade-in was begun already, or is not needed.
        self._underruns = 0

    @staticmethod
    def source_encoding(encoding: Encoding) -> Encoding:
        """The encoding in which `mix` wants frames for a stream's encoding: samples must be linear to be added."""
        return encoding if encoding.is_linear else PCM

    def play(self, encoding: Encoding) -> Iterator[bytes]:
        """The encoded frames of the loop alone, an iterator without end."""
        self._use_encoding(encoding)
        return chain(self._raise(encoding), self._frames)

    def mix(self, frames: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
        """Encoded frames in which the loop plays under `frames`, which are in `source_encoding(encoding)`."""
        self._use_encoding(encoding)
        start, loop_start = len(self.source_encoding(encoding).header), len(encoding.header)
        encode, expand, mix = encoding.encoder, encoding.expand, self._ducker.mix

        def mix_frame(frame: bytes, loop: bytes) -> bytes:
            mixed = encode(mix(frame[start:], expand(loop[loop_start:])))
            if self._loop.underruns != self._underruns:
                self._begin_anew()
            return mixed

        return map(mix_frame, frames, self._frames)

    def take_next_frame(self) -> bytes:
        """Take the loop's next frame, as PCM at the loop's present gain; silence if the loop was never played."""
        if self._encoding is None:
            return SILENCE
        return self._ducker.scale(self._encoding.decode(next(self._frames)))

    def _raise(self, encoding: Encoding) -> Iterator[bytes]:
        """Yield the loop's frames, each a little louder, until the loop is at its full level."""
        while not self._ducker.is_raised:
            frame = self._ducker.apply(encoding.decode(next(self._frames)))
            if self._loop.underruns != self._underruns:
                self._begin_anew()
            yield encoding.encode(frame)

    def _begin_anew(self) -> None:
        """Fade the loop in again from the next frame on, because a frame of the loop was not there in time."""
        self._underruns = self._loop.underruns
        self._ducker.mute()

    def _use_encoding(self, encoding: Encoding) -> None:
        """Make the loop's frames in a stream's encoding, from the loop's present position on."""
        self._underruns = self._loop.underruns  # do not fade the loop in because of earlier underruns
        if encoding is self._encoding:
            return
        samples = self._segment.samples
        # Number of frames after which the segment begins exactly at the beginning of a frame again.
        period = samples // gcd(samples, FRAME_SAMPLES)
        taken = next(self._taken)
        self._encoding, self._taken = encoding, count(taken)
        frames = self._loop.iter_frames(encoding, (taken - self._loop.underruns) % period)
        self._frames = map(itemgetter(0), zip(frames, self._taken, strict=False))
