"""Tones with a cadence: Asterisk's indications notation, DTMF digits, and sines, rendered without clicks.

The notation is that of Asterisk's `indications.conf`: comma-separated segments `[!]F[+F…|*M][/MS]`. `F` is in Hz,
and 0 is silence. `+` adds components; `*` modulates the amplitude of the first frequency with the second, 90 %
deep. `/MS` is a duration in milliseconds, without which a segment never ends. Segments with `!` are played once,
all other segments repeat.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from mediaserver.audio.level.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples, Signal, quantize
from mediaserver.errors import TooLongError

# A burst begins and ends with a raised-cosine ramp of this number of samples (4 ms), which prevents clicks.
_RAMP = 4 * SAMPLE_RATE // 1000
# Limits of one pass through a cadence, including the part that is played once. There are limits because any peer
# may ask for a tone.
MAX_SECONDS, MAX_SEGMENTS = 20, 64
_MODULATION_DEPTH = 0.9

_HZ = r"\d{1,5}(?:\.\d{1,9})?"
_SEGMENT = re.compile(rf"(?P<once>!)?(?P<hz>{_HZ}(?:\+{_HZ}){{0,3}})(?:\*(?P<by>{_HZ}))?(?:/(?P<ms>\d{{1,6}}))?")

# DTMF frequencies in Hz (ITU-T Q.23): a low one for each row of a telephone's keys, a high one for each column.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
DTMF = {
    digit: (_ROWS[row], _COLUMNS[column])
    for row, digits in enumerate(("123A", "456B", "789C", "*0#D"))
    for column, digit in enumerate(digits)
}
# The high tone of a DTMF digit is 2 dB louder than the low one, because a line attenuates high frequencies more.
DTMF_LOW_DBM0, DTMF_HIGH_DBM0 = -8.0, -6.0


@dataclass(frozen=True, slots=True)
class Component:
    """A sine of `hz` at `level` dBm0."""

    hz: Fraction
    level: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Components that sound together for `ms` milliseconds, or without end (None); silence if there are none."""

    components: tuple[Component, ...]
    ms: int | None
    modulation: Fraction | None = None

    def same_sound(self, other: "Segment") -> bool:
        """Whether the sound continues unchanged from this segment into the other."""
        return self.components == other.components and self.modulation == other.modulation


@dataclass(frozen=True, slots=True)
class Cadence:
    """Segments that are played once, and segments that repeat after them; if none repeat, the tone ends."""

    once: tuple[Segment, ...]
    repeat: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """A rendered cadence: samples to play once, then samples that repeat without a seam; each of shape (n,)."""

    once: Samples
    repeat: Samples


def parse(notation: str, level: float) -> Cadence:
    """The cadence of a notation; the components of a segment have `level` dBm0 in total.

    ValueError says which segment is wrong.
    """
    once: list[Segment] = []
    repeat: list[Segment] = []
    for text in notation.split(","):
        match = _SEGMENT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'"{text.strip()}" is not a tone segment such as 480+620/500 or !950/330')
        segment = _segment(match, level)
        if match["once"]:
            if repeat:
                raise ValueError(f'"{text.strip()}" is played once, so it must come before what repeats')
            once.append(segment)
        else:
            repeat.append(segment)
    return Cadence(tuple(once), tuple(repeat))


def _segment(match: re.Match[str], level: float) -> Segment:
    ms = int(match["ms"]) if match["ms"] else None
    if ms == 0:
        raise ValueError(f'"{match[0]}" lasts 0 ms')
    frequencies = [Fraction(hz) for hz in match["hz"].split("+")]
    if frequencies == [0]:
        return Segment((), ms)
    for hz in frequencies:
        _validate_frequency(hz, lowest=Fraction(10))
    modulation = Fraction(match["by"]) if match["by"] else None
    if modulation is not None:
        _validate_frequency(modulation, lowest=Fraction(1, 10))
    component_level = level - 10 * math.log10(len(frequencies))
    return Segment(tuple(Component(hz, component_level) for hz in frequencies), ms, modulation)


def _validate_frequency(hz: Fraction, lowest: Fraction) -> None:
    if not lowest <= hz < SAMPLE_RATE / 2 or (hz * 10).denominator != 1:
        raise ValueError(f"{float(hz):g} Hz is not between {float(lowest):g} and 3999.9 Hz in steps of 0.1 Hz")


def dtmf(digits: str, on_ms: int, off_ms: int) -> Cadence:
    """The cadence of DTMF digits `0-9 A-D * #`: each sounds once for `on_ms`, with `off_ms` of silence after it.

    ValueError on any other character, and where there are no digits.
    """
    segments = []
    for digit in digits:
        if digit.upper() not in DTMF:
            raise ValueError(f'"{digit}" is not a DTMF digit: 0-9, A-D, * or #')
        low, high = DTMF[digit.upper()]
        pair = Component(Fraction(low), DTMF_LOW_DBM0), Component(Fraction(high), DTMF_HIGH_DBM0)
        segments += [Segment(pair, on_ms), Segment((), off_ms)]
    if not segments:
        raise ValueError("no DTMF digits")
    return Cadence(tuple(segments), ())


def normalize(cadence: Cadence) -> Cadence:
    """The cadence, changed so that an endless last segment is the only one that repeats.

    ValueError if a segment other than the last is endless. TooLongError if the cadence exceeds MAX_SECONDS or
    MAX_SEGMENTS.
    """
    segments = (*cadence.once, *cadence.repeat)
    if len(segments) > MAX_SEGMENTS:
        raise TooLongError(f"has {len(segments)} segments: at most {MAX_SEGMENTS} are played")
    if sum(segment.ms or 0 for segment in segments) > MAX_SECONDS * 1000:
        raise TooLongError(f"one pass lasts longer than {MAX_SECONDS} s")
    if any(segment.ms is None for segment in (*cadence.once, *cadence.repeat[:-1])):
        raise ValueError("only the last segment may go without a duration")
    # Segments before an endless one are played once only.
    if len(cadence.repeat) > 1 and cadence.repeat[-1].ms is None:
        cadence = Cadence(cadence.once + cadence.repeat[:-1], cadence.repeat[-1:])
    return cadence


class ToneTrack:
    """Tone segments in sequence, whose samples are computed on demand: `render` computes any part of them.

    There is a ramp wherever the sound changes, and phases continue across segments. The track is `passes`
    repetitions of the segments, and has `samples` samples. With `endless`, `segments` is one endless segment, and
    the track is one period of it, without a ramp at the end. `fade_in=False` leaves out the ramp at the beginning.
    """

    def __init__(
        self, segments: Sequence[Segment], passes: int = 1, *, endless: bool = False, fade_in: bool = True
    ) -> None:
        # Of each segment: its start and end in samples, the segment, whether it ramps up, whether it ramps down.
        self._parts: list[tuple[int, int, Segment, bool, bool]] = []
        at = 0
        for i, segment in enumerate(segments):
            size = _period(segment) if endless else (segment.ms or 0) * SAMPLE_RATE // 1000
            before, after = segments[i - 1] if i else None, segments[i + 1] if i + 1 < len(segments) else None
            ramp_up = fade_in and (before is None or not segment.same_sound(before))
            ramp_down = not endless and (after is None or not segment.same_sound(after))
            self._parts.append((at, at + size, segment, ramp_up, ramp_down))
            at += size
        self._ends = [end for _, end, *_ in self._parts]
        self._pass_samples = at
        self.samples = at * passes

    def render(self, start: int, size: int) -> Samples:
        """`size` samples from sample `start` on, or fewer where the tone track ends; shape (n,)."""
        end, of_pass = min(start + size, self.samples), self._pass_samples
        if of_pass <= end - start:  # all segments fit into the wanted samples: compute them once, and repeat them
            whole = quantize(self._signal(0, of_pass))
            return np.tile(whole, -(-end // of_pass) if end else 0)[start:end]
        first, last = start % of_pass, start % of_pass + end - start
        if last <= of_pass:
            return quantize(self._signal(first, last))
        return quantize(np.concatenate((self._signal(first, of_pass), self._signal(0, last - of_pass))))

    def _signal(self, start: int, end: int) -> Signal:
        parts = []
        for begins, ends, segment, ramp_up, ramp_down in self._parts[bisect_right(self._ends, start) :]:
            if begins >= end:
                break
            at, to = max(begins, start), min(ends, end)
            sound = _synthesize(segment, at, to - at)
            ramp = min(_RAMP, (ends - begins) // 2)
            if ramp_up and at - begins < ramp:
                part = _raised_cosine(ramp)[at - begins : to - begins]
                sound[: len(part)] *= part
            if ramp_down and ends - to < ramp:
                part = _raised_cosine(ramp)[ends - to : ends - at][::-1]
                sound[len(sound) - len(part) :] *= part
            parts.append(sound)
        return np.concatenate(parts) if parts else np.zeros(0)


def lay_out_tracks(cadence: Cadence) -> tuple[ToneTrack, ToneTrack, ToneTrack]:
    """A cadence as three tone tracks: the first two are played once each, then the third repeats without a seam.

    If the cadence's last segment is endless, the second track is the segment's first period, which fades in. If
    not, the second track is empty. ValueError as in `normalize`.
    """
    cadence = normalize(cadence)
    once, repeat = ToneTrack(cadence.once), cadence.repeat
    if len(repeat) == 1 and repeat[0].ms is None:
        return once, ToneTrack(repeat, endless=True), ToneTrack(repeat, endless=True, fade_in=False)
    size = ToneTrack(repeat).samples
    # Repeat the cadence until the track fills whole frames, which need not be cut anew when they are played.
    passes = FRAME_SAMPLES // math.gcd(FRAME_SAMPLES, size or FRAME_SAMPLES)
    fits = once.samples + passes * size <= MAX_SECONDS * SAMPLE_RATE
    return once, ToneTrack(()), ToneTrack(repeat, passes if fits else 1)


def render(cadence: Cadence) -> Tone:
    """Compute all samples of a cadence; ValueError as in `normalize`."""
    once, lead, repeat = (track.render(0, track.samples) for track in lay_out_tracks(cadence))
    return Tone(np.concatenate((once, lead)), repeat)


def _period(segment: Segment) -> int:
    """The number of samples in a period of an endless segment; at most 10 s, as frequencies have 0.1 Hz steps."""
    frequencies = [component.hz for component in segment.components] + [segment.modulation or Fraction(0)]
    return math.lcm(*(hz.denominator for hz in frequencies)) * SAMPLE_RATE


def _synthesize(segment: Segment, at: int, size: int) -> Signal:
    sound = np.zeros(size)
    for component in segment.components:
        sound += peak_of_dbm0(component.level) * _sine(float(component.hz), at, size)
    if segment.modulation is not None:
        envelope = 1 + _MODULATION_DEPTH * _sine(float(segment.modulation), at, size)
        # The divisor keeps the power of the tone, which modulation would raise.
        sound *= envelope / math.sqrt(1 + _MODULATION_DEPTH**2 / 2)
    return sound


def _sine(hz: float, at: int, size: int) -> Signal:
    """Samples `at` to `at + size` of a sine with a peak of 1.0; shape (size,), float64.

    A long sine is computed as a table with one frame a row, by sin(a + b) = sin a cos b + cos a sin b: `a` is the
    phase at a row's beginning, `b` the advance up to a column. Sines are then computed for each row and column
    only, not for each sample. No matrix product is used, because a BLAS library may start threads of its own.
    """
    radians = 2 * np.pi * hz / SAMPLE_RATE  # phase advance per sample in radians
    if size <= FRAME_SAMPLES:
        short: Signal = np.sin(radians * np.arange(at, at + size))
        return short
    rows = radians * np.arange(at, at + size, FRAME_SAMPLES)[:, None]
    columns = radians * np.arange(FRAME_SAMPLES)
    sine: Signal = np.sin(rows) * np.cos(columns)
    sine += np.cos(rows) * np.sin(columns)
    return sine.reshape(-1)[:size]


@cache
def _raised_cosine(size: int) -> Signal:
    """A raised cosine from 0 to 1, shape (size,)."""
    ramp: Signal = (1 - np.cos(np.pi * (np.arange(size) + 0.5) / max(size, 1))) / 2
    return ramp
