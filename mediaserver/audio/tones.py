"""Tones with a cadence: Asterisk's indications notation, DTMF digits, and sines, rendered without clicks.

Notation (Asterisk `indications.conf`): comma-separated segments `[!]F[+F…|*M][/MS]`; `F` in Hz, 0 is silence;
`+` adds components, `*` modulates the amplitude of the first with the second (90 % deep); `/MS` is a duration in
milliseconds, without which a segment lasts for ever; segments with `!` are played once, the others repeat.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mediaserver.audio.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples, Signal, quantize

RAMP_MS = 4  # raised cosine at either end of a burst: no click, and far shorter than any cadence
MAX_SECONDS = 20  # of one pass through a cadence: rendering takes a few milliseconds at most
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
    """A cadence in which nothing follows a segment that never ends, and which is short enough to render.

    ValueError where it is not.
    """
    if any(segment.ms is None for segment in (*cadence.once, *cadence.repeat[:-1])):
        raise ValueError("only the last segment may go without a duration")
    if len(cadence.repeat) > 1 and cadence.repeat[-1].ms is None:  # what stands before it has its turn once
        cadence = Cadence(cadence.once + cadence.repeat[:-1], cadence.repeat[-1:])
    for part in (cadence.once, cadence.repeat):
        if sum(segment.ms or 0 for segment in part) > MAX_SECONDS * 1000:
            raise ValueError(f"one pass lasts longer than {MAX_SECONDS} s")
    return cadence


def render(cadence: Cadence) -> Tone:
    """The samples of a cadence; ValueError as in `normalize`."""
    cadence = normalize(cadence)
    once, repeat = quantize(_burst(cadence.once)), cadence.repeat
    if len(repeat) != 1:
        loop = quantize(_burst(repeat))
        passes = FRAME_SAMPLES // math.gcd(FRAME_SAMPLES, len(loop) or FRAME_SAMPLES)
        in_reach = passes * len(loop) <= MAX_SECONDS * SAMPLE_RATE
        return Tone(once, np.tile(loop, passes if in_reach else 1))  # whole frames pass on as they are: cheaper
    steady = quantize(_steady(repeat[0]))
    lead = steady * _window(len(steady), start=True, end=False)  # the first pass fades in, then there is no seam
    return Tone(np.concatenate((once, np.rint(lead).astype(np.int16))), steady)


def _steady(segment: Segment) -> Signal:
    """One segment for ever: ten seconds hold a whole number of periods of anything in steps of 0.1 Hz."""
    frequencies = [component.hz for component in segment.components] + [segment.modulation or Fraction(0)]
    seconds = math.lcm(*(hz.denominator for hz in frequencies))
    return _sound(segment, 0, seconds * SAMPLE_RATE)


def _burst(segments: Sequence[Segment]) -> Signal:
    """Segments one after another, with a ramp wherever the sound changes; phases run on across them."""
    parts, at = [], 0
    for i, segment in enumerate(segments):
        size = (segment.ms or 0) * SAMPLE_RATE // 1000
        before, after = segments[i - 1] if i else None, segments[i + 1] if i + 1 < len(segments) else None
        window = _window(
            size,
            start=before is None or not segment.same_sound(before),
            end=after is None or not segment.same_sound(after),
        )
        parts.append(_sound(segment, at, size) * window)
        at += size
    return np.concatenate(parts) if parts else np.zeros(0)


def _sound(segment: Segment, at: int, size: int) -> Signal:
    t = np.arange(at, at + size) / SAMPLE_RATE
    sound = np.zeros(size)
    for component in segment.components:
        sound += peak_of_dbm0(component.level) * np.sin(2 * np.pi * float(component.hz) * t)
    if segment.modulation is not None:
        envelope = 1 + _MODULATION * np.sin(2 * np.pi * float(segment.modulation) * t)
        sound *= envelope / math.sqrt(1 + _MODULATION**2 / 2)  # the same power as without
    return sound


def _window(size: int, *, start: bool, end: bool) -> Signal:
    """Ones, with a raised-cosine ramp at the ends asked for."""
    window = np.ones(size)
    ramp = min(RAMP_MS * SAMPLE_RATE // 1000, size // 2)
    rise = (1 - np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))) / 2
    if start:
        window[:ramp] *= rise
    if end and ramp:
        window[-ramp:] *= rise[::-1]
    return window
