"""Tones with a cadence: Asterisk's indications notation, DTMF digits, and sines, rendered without clicks.

Notation (Asterisk `indications.conf`): comma-separated segments `[!]F[+F…|*M][/MS]`; `F` in Hz, 0 is silence;
`+` adds components, `*` modulates the amplitude of the first with the second (90 % deep); `/MS` is a duration in
milliseconds, without which a segment lasts for ever; segments with `!` are played once, the others repeat.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from mediaserver.audio.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples, Signal, quantize
from mediaserver.errors import TooLongError

_RAMP = (
    4 * SAMPLE_RATE // 1000
)  # samples of 4 ms: raised cosine at either end of a burst: no click, and far shorter than any cadence
# Of one pass through a cadence, with what comes before it. A stranger may ask for any tone.
MAX_SECONDS, MAX_SEGMENTS = 20, 64
_MODULATION = 0.9

_HZ = r"\d{1,5}(?:\.\d{1,9})?"
_SEGMENT = re.compile(rf"(?P<once>!)?(?P<hz>{_HZ}(?:\+{_HZ}){{0,3}})(?:\*(?P<by>{_HZ}))?(?:/(?P<ms>\d{{1,6}}))?")

# ITU-T Q.23: the low group names the row, the high group the column.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
DTMF = {
    digit: (_ROWS[row], _COLUMNS[column])
    for row, digits in enumerate(("123A", "456B", "789C", "*0#D"))
    for column, digit in enumerate(digits)
}
DTMF_LOW_DBM0, DTMF_HIGH_DBM0 = (
    -8.0,
    -6.0,
)  # the high group 2 dB up, against the line's loss at high frequencies


@dataclass(frozen=True, slots=True)
class Component:
    """A sine of `hz` at `level` dBm0."""

    hz: Fraction
    level: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Components sounding together for `ms` milliseconds (None: for ever); none at all is silence."""

    components: tuple[Component, ...]
    ms: int | None
    modulation: Fraction | None = None

    def same_sound(self, other: "Segment") -> bool:
        """Whether the sound goes on unchanged from one to the other."""
        return self.components == other.components and self.modulation == other.modulation


@dataclass(frozen=True, slots=True)
class Cadence:
    """What is played once, and what is repeated after it (nothing: the tone ends)."""

    once: tuple[Segment, ...]
    repeat: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """A rendered cadence: samples played once, then samples to repeat without a seam."""

    once: Samples
    repeat: Samples


def parse(notation: str, level: float) -> Cadence:
    """The cadence of an indications string whose segments each sound at `level` dBm0 in all.

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
        _require(hz, lowest=Fraction(10))
    by = Fraction(match["by"]) if match["by"] else None
    if by is not None:
        _require(by, lowest=Fraction(1, 10))
    each = level - 10 * math.log10(len(frequencies))
    return Segment(tuple(Component(hz, each) for hz in frequencies), ms, by)


def _require(hz: Fraction, lowest: Fraction) -> None:
    if not lowest <= hz < SAMPLE_RATE / 2 or (hz * 10).denominator != 1:
        raise ValueError(f"{float(hz):g} Hz is not between {float(lowest):g} and 3999.9 Hz in steps of 0.1 Hz")


def dtmf(digits: str, on_ms: int, off_ms: int) -> Cadence:
    """Digits `0-9 A-D * #` once each, `on_ms` long with `off_ms` of silence between; ValueError on others."""
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
    """A cadence in which nothing follows a segment that never ends.

    ValueError where something does, TooLongError where there is more of it than is rendered.
    """
    segments = (*cadence.once, *cadence.repeat)
    if len(segments) > MAX_SEGMENTS:
        raise TooLongError(f"has {len(segments)} segments: at most {MAX_SEGMENTS} are played")
    if sum(segment.ms or 0 for segment in segments) > MAX_SECONDS * 1000:
        raise TooLongError(f"one pass lasts longer than {MAX_SECONDS} s")
    if any(segment.ms is None for segment in (*cadence.once, *cadence.repeat[:-1])):
        raise ValueError("only the last segment may go without a duration")
    if len(cadence.repeat) > 1 and cadence.repeat[-1].ms is None:  # what stands before it has its turn once
        cadence = Cadence(cadence.once + cadence.repeat[:-1], cadence.repeat[-1:])
    return cadence


class Track:
    """Segments one after another, as samples that are computed piece by piece.

    There is a ramp wherever the sound changes; phases run on across segments. `passes` of it follow each other.
    A `steady` one goes on where it ends, without a ramp there, and one that is `entered` likewise where it begins.
    """

    def __init__(
        self, segments: Sequence[Segment], passes: int = 1, *, steady: bool = False, entered: bool = False
    ) -> None:
        self._parts: list[tuple[int, int, Segment, bool, bool]] = []  # from, to, and where there are ramps
        at = 0
        for i, segment in enumerate(segments):
            size = _period(segment) if steady else (segment.ms or 0) * SAMPLE_RATE // 1000
            before, after = segments[i - 1] if i else None, segments[i + 1] if i + 1 < len(segments) else None
            starts = not entered and (before is None or not segment.same_sound(before))
            ends = not steady and (after is None or not segment.same_sound(after))
            self._parts.append((at, at + size, segment, starts, ends))
            at += size
        self._ends = [end for _, end, *_ in self._parts]
        self._once = at
        self.samples = at * passes

    def piece(self, start: int, size: int) -> Samples:
        """So many samples of it from `start` on, or what there is."""
        end = min(start + size, self.samples)
        if self._once <= end - start:  # of a short one, all passes are the same
            whole = quantize(self._signal(0, self._once))
            return np.tile(whole, -(-end // self._once) if end else 0)[start:end]
        first, last = start % self._once, start % self._once + end - start
        if last <= self._once:
            return quantize(self._signal(first, last))
        return quantize(np.concatenate((self._signal(first, self._once), self._signal(0, last - self._once))))

    def _signal(self, start: int, end: int) -> Signal:
        parts = []
        for begins, ends, segment, ramp_up, ramp_down in self._parts[bisect_right(self._ends, start) :]:
            if begins >= end:
                break
            at, to = max(begins, start), min(ends, end)
            sound = _sound(segment, at, to - at)
            ramp = min(_RAMP, (ends - begins) // 2)
            if ramp_up and at - begins < ramp:
                part = _rise(ramp)[at - begins : to - begins]
                sound[: len(part)] *= part
            if ramp_down and ends - to < ramp:
                part = _rise(ramp)[ends - to : ends - at][::-1]
                sound[len(sound) - len(part) :] *= part
            parts.append(sound)
        return np.concatenate(parts) if parts else np.zeros(0)


def tracks(cadence: Cadence) -> tuple[Track, Track, Track]:
    """What is played once, what follows it once, and what is then repeated; ValueError as in `normalize`.

    A steady tone's first pass fades in, and then there is no seam.
    """
    cadence = normalize(cadence)
    once, repeat = Track(cadence.once), cadence.repeat
    if len(repeat) == 1 and repeat[0].ms is None:
        return once, Track(repeat, steady=True), Track(repeat, steady=True, entered=True)
    size = Track(repeat).samples
    passes = FRAME_SAMPLES // math.gcd(FRAME_SAMPLES, size or FRAME_SAMPLES)
    in_reach = once.samples + passes * size <= MAX_SECONDS * SAMPLE_RATE
    return once, Track(()), Track(repeat, passes if in_reach else 1)  # whole frames pass on as they are: cheaper


def render(cadence: Cadence) -> Tone:
    """All samples of a cadence; ValueError as in `normalize`."""
    once, lead, repeat = (track.piece(0, track.samples) for track in tracks(cadence))
    return Tone(np.concatenate((once, lead)), repeat)


def _period(segment: Segment) -> int:
    """Samples of one that goes on for ever: ten seconds hold whole periods of anything in steps of 0.1 Hz."""
    frequencies = [component.hz for component in segment.components] + [segment.modulation or Fraction(0)]
    return math.lcm(*(hz.denominator for hz in frequencies)) * SAMPLE_RATE


def _sound(segment: Segment, at: int, size: int) -> Signal:
    sound = np.zeros(size)
    for component in segment.components:
        sound += peak_of_dbm0(component.level) * _sine(float(component.hz), at, size)
    if segment.modulation is not None:
        envelope = 1 + _MODULATION * _sine(float(segment.modulation), at, size)
        sound *= envelope / math.sqrt(1 + _MODULATION**2 / 2)  # the same power as without
    return sound


def _sine(hz: float, at: int, size: int) -> Signal:
    """Samples `at` to `at + size` of a sine.

    sin(a + b) = sin a cos b + cos a sin b, where `a` is a row's phase and `b` a column's: that takes some hundred
    sines in place of one a sample. Not as a product of matrices: a library for these may start threads of its own.
    """
    turn = 2 * np.pi * hz / SAMPLE_RATE
    if size <= FRAME_SAMPLES:
        short: Signal = np.sin(turn * np.arange(at, at + size))
        return short
    rows = turn * np.arange(at, at + size, FRAME_SAMPLES)[:, None]
    columns = turn * np.arange(FRAME_SAMPLES)
    sine: Signal = np.sin(rows) * np.cos(columns)
    sine += np.cos(rows) * np.sin(columns)
    return sine.reshape(-1)[:size]


@cache
def _rise(size: int) -> Signal:
    """A raised cosine from silence to full, in so many samples."""
    rise: Signal = (1 - np.cos(np.pi * (np.arange(size) + 0.5) / max(size, 1))) / 2
    return rise
