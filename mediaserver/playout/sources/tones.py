"""Tones as runs of sound: each second of one is computed when it is about to be played, and kept with the tone.

A second takes some tenths of a millisecond, so that nobody hears of it, whatever tones strangers ask for; and who
hangs up costs no more than what was played.
"""

from dataclasses import dataclass

from mediaserver.audio import tones
from mediaserver.audio.pcm import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_BYTES, to_bytes
from mediaserver.playout.prompts.cache import ItemCache
from mediaserver.playout.prompts.encoded_frames import Items
from mediaserver.playout.sources.source import Clip, Run
from mediaserver.wire.encapsulation import Encoding

_PIECE = FRAMES_PER_SECOND * FRAME_SAMPLES  # samples
_ENCODINGS = 5  # that a tone may be played in
_OBJECTS = 1.2  # times their bytes: what items take


class _Piece:
    """A part of a track."""

    def __init__(self, track: tones.ToneTrack, start: int) -> None:
        self._track, self._start = track, start
        self.samples = min(_PIECE, track.samples - start)
        self._clip: Clip | None = None

    def open(self, encoding: Encoding) -> Items:
        """Its items, computed the first time they are asked for."""
        if self._clip is None:
            self._clip = Clip(to_bytes(self._track.render(self._start, self.samples)))
        return self._clip.open(encoding)


@dataclass(frozen=True, slots=True)
class TonePieces:
    """What is played once, and what is repeated after it (nothing where the tone ends)."""

    once: tuple[Run, ...]
    repeat: tuple[Run, ...]

    @property
    def size(self) -> int:
        """Bytes of memory at most: all of it computed, in all encodings."""
        samples = sum(run.samples for run in (*self.once, *self.repeat))
        return int((1 + _ENCODINGS * _OBJECTS) * samples * SAMPLE_BYTES)


class Tones:
    """Tones by their cadences, under a limit of memory in bytes."""

    def __init__(self, limit: int) -> None:
        self.cache: ItemCache[TonePieces] = ItemCache(limit)

    def get(self, cadence: tones.Cadence) -> TonePieces:
        """A tone, at once; ValueError where it cannot be rendered."""
        tone = self.cache.get(cadence)
        if tone is None:
            once, lead, repeat = (_pieces(track) for track in tones.lay_out_tracks(cadence))
            tone = TonePieces((*once, *lead), repeat)
            self.cache.put(cadence, tone)
        return tone


def _pieces(track: tones.ToneTrack) -> tuple[Run, ...]:
    return tuple(_Piece(track, start) for start in range(0, track.samples, _PIECE))
