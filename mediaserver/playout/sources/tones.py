"""Tones as segments of a playlist: each second of a tone is computed shortly before it is played, and then kept.

Computing one second takes some tenths of a millisecond, so that the tones of one caller do not delay other calls.
If a caller hangs up early, the remaining seconds are not computed.
"""

from dataclasses import dataclass

from mediaserver.audio import tones
from mediaserver.audio.pcm import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_BYTES, to_bytes
from mediaserver.playout.prompts.cache import LruCache
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.source import Clip, Segment
from mediaserver.wire.encapsulation import Encoding

_SEGMENT_SAMPLES = FRAMES_PER_SECOND * FRAME_SAMPLES  # number of samples in a segment of one second
_ENCODINGS = 5  # the most encodings in which the frames of one tone are kept
_OVERHEAD = 1.2  # memory that encoded frames take, as a multiple of the frames' own bytes


class _ToneSegment:
    """One second of a tone's signal, which is computed when it is needed; less than a second at the end."""

    name = "tone"

    def __init__(self, track: tones.ToneTrack, start: int) -> None:
        self._track, self._start = track, start
        self.samples = min(_SEGMENT_SAMPLES, track.samples - start)
        self._clip: Clip | None = None

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The segment's frames in an encoding; the tone is computed when it is first asked for."""
        if self._clip is None:
            self._clip = Clip(to_bytes(self._track.render(self._start, self.samples)))
        return self._clip.get_frames(encoding)


@dataclass(frozen=True, slots=True)
class ToneSegments:
    """A tone: the segments to be played once, and then those to be repeated, none if the tone is not repeated."""

    once: tuple[Segment, ...]
    repeat: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """The most bytes of memory that the tone can take: all its samples computed, in all encodings."""
        samples = sum(segment.samples for segment in (*self.once, *self.repeat))
        return int((1 + _ENCODINGS * _OVERHEAD) * samples * SAMPLE_BYTES)


class ToneCache:
    """A cache of tones by their cadences, in at most `limit` bytes of memory."""

    def __init__(self, limit: int) -> None:
        self.cache: LruCache[ToneSegments] = LruCache(limit)

    def get(self, cadence: tones.Cadence) -> ToneSegments:
        """The segments of a tone, not computed yet; ValueError if the cadence makes no valid tone."""
        tone = self.cache.get(cadence)
        if tone is None:
            once, intro, repeat = (_segments(track) for track in tones.lay_out_tracks(cadence))
            tone = ToneSegments((*once, *intro), repeat)
            self.cache.put(cadence, tone)
        return tone


def _segments(track: tones.ToneTrack) -> tuple[Segment, ...]:
    return tuple(_ToneSegment(track, start) for start in range(0, track.samples, _SEGMENT_SAMPLES))
