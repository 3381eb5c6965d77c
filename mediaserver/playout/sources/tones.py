"""Tones as segments of a playlist: each second of a tone is computed shortly before it is played, and then kept.

Computing a second takes some tenths of a millisecond, so that no tone that a caller asks for delays other calls;
and a caller who hangs up has cost no more than what was played.
"""

from dataclasses import dataclass

from mediaserver.audio import tones
from mediaserver.audio.pcm import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_BYTES, to_bytes
from mediaserver.playout.prompts.cache import LruCache
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.source import Clip, Segment
from mediaserver.wire.encapsulation import Encoding

_SEGMENT_SAMPLES = FRAMES_PER_SECOND * FRAME_SAMPLES
_ENCODINGS = 5  # encodings in which a tone may be cached
_OVERHEAD = 1.2  # memory that encoded frames take, as a multiple of their bytes


class _ToneSegment:
    """A second of a tone's track, or the rest at the track's end."""

    def __init__(self, track: tones.ToneTrack, start: int) -> None:
        self._track, self._start = track, start
        self.samples = min(_SEGMENT_SAMPLES, track.samples - start)
        self._clip: Clip | None = None

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The segment's frames, computed the first time they are asked for."""
        if self._clip is None:
            self._clip = Clip(to_bytes(self._track.render(self._start, self.samples)))
        return self._clip.get_frames(encoding)


@dataclass(frozen=True, slots=True)
class ToneSegments:
    """The segments that are played once, and those that are repeated after them (none where the tone ends)."""

    once: tuple[Segment, ...]
    repeat: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """The most bytes of memory that the tone can take, which is with all of it computed, in all encodings."""
        samples = sum(segment.samples for segment in (*self.once, *self.repeat))
        return int((1 + _ENCODINGS * _OVERHEAD) * samples * SAMPLE_BYTES)


class ToneCache:
    """Tones by their cadences, in at most `limit` bytes of memory."""

    def __init__(self, limit: int) -> None:
        self.cache: LruCache[ToneSegments] = LruCache(limit)

    def get(self, cadence: tones.Cadence) -> ToneSegments:
        """The segments of a tone, at once; ValueError where it cannot be rendered."""
        tone = self.cache.get(cadence)
        if tone is None:
            once, intro, repeat = (_segments(track) for track in tones.lay_out_tracks(cadence))
            tone = ToneSegments((*once, *intro), repeat)
            self.cache.put(cadence, tone)
        return tone


def _segments(track: tones.ToneTrack) -> tuple[Segment, ...]:
    return tuple(_ToneSegment(track, start) for start in range(0, track.samples, _SEGMENT_SAMPLES))
