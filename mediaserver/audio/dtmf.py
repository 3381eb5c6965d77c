"""A DTMF receiver: it detects the digits of ITU-T Q.23 in a stream, within the limits of ITU-T Q.24.

Every 5 ms, a Hann window of 15 ms is correlated with the eight DTMF frequencies. Goertzel's algorithm computes
these correlations sample by sample; here they are one small matrix product per frame. A window is a *hit* if the
strongest frequency of the low group and the strongest of the high group together hold most of the window's energy.
Speech and music spread their energy over other frequencies as well, so this test rejects nearly all of them. A key
press is detected after HITS hits of one pair of frequencies in a row, if three conditions hold over all of them:
- The phases advance from window to window as those of a steady tone within tolerance do. This test tells an error
  of 1.5 % in frequency from an error of 3.5 % within 20 ms. A filter as sharp would need more time than a digit
  lasts.
- Two tones at the frequencies so measured hold nearly all of the energy. If both tones have sounded for a while,
  they must hold even more of the energy. A digit begins out of silence, while two notes of a chord may sound on
  when the chord's other notes die away.
- The twist is within limits. The first and the last window are as loud as the windows between them, which shows
  that the tones filled all windows.
The digit is then held, and not reported again, until one of its tones has been gone longer than an interruption.

The limits are those of Q.24, table A-1, for AT&T, with a margin. Q.24 leaves open what lies between "shall be
detected" and "shall not be detected". Twist is the level of the high group less that of the low group; -8 dB
(forward, or normal, because a line attenuates high frequencies more) to +4 dB (reverse) shall be detected. Other
sound may be present if it is weak: a dial tone may sound with the digit if each of its tones is 10 dB weaker.
"""

import cmath
import math
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from mediaserver.audio.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.audio.tones import DTMF

LEVEL_MIN = -33.0  # dBm0 of either tone: 0 to -29 is detected (Q.24 requires 0 to -25), -34 is not
TWIST_MIN, TWIST_MAX = -9.5, 5.5  # dB: Q.24's range, and 1.5 dB for the error that noise causes
# Share of a DTMF frequency by which a tone may differ from it. Q.24 admits ±1.5 % and rejects ±3.5 %. A limit of
# 1.8 % also rejects the note G5, which is 1.82 % above 770 Hz.
TOLERANCE = 0.018
# A cheap first test: the least share of a window's energy that two tones must hold. Tones 1.5 % off hold 0.84.
PURITY_OF_WINDOW = 0.6
# The least share of all windows' energy that both tones must hold at the measured frequencies. With noise at
# -15 dB, a digit still holds 0.91 or more.
PURITY = 0.88
PURITY_OF_SUSTAINED = 0.97  # the least share once both tones have sounded for longer than RECENT
RECENT = 12  # windows, 70 ms in all: those in which a new digit is detected, and the onset or silence before
# The least power of the first and the last window, relative to the windows between them (-2 dB). A sound shorter
# than 24 ms does not reach this power.
EDGE = 0.63
# The least share of its power at detection with which a tone of the held digit counts as present (-10 dB). An echo
# has less power (Q.24: 10 dB below the digit).
PRESENT = 0.1
HITS = 5  # windows, 35 ms in all: a sound of 40 ms always fills them, one of 23 ms never does
MISSES = 4  # windows without the digit that end a press: longer than an interruption (10 ms), shorter than a pause

HOP = 40  # samples, 5 ms
WINDOW = 120  # samples, 15 ms: the main lobe is 133 Hz wide to either side, and the groups are 268 Hz apart

_WINDOWS = FRAME_SAMPLES // HOP  # windows of a frame, which are computed in one matrix product
_SPAN_BYTES = (FRAME_SAMPLES + WINDOW - HOP) * SAMPLE_BYTES  # bytes of a frame and the end of the previous frame
_WINDOW_SAMPLES = np.arange(_WINDOWS)[:, None] * HOP + np.arange(WINDOW)  # indices into the span, a row a window

_HZ = sorted({low for low, _ in DTMF.values()}) + sorted({high for _, high in DTMF.values()})
_DIGITS = {(_HZ.index(low), _HZ.index(high)): digit for digit, (low, high) in DTMF.items()}
_RADIANS = [2 * math.pi * hz / SAMPLE_RATE for hz in _HZ]  # phase advance a sample
_UNDO_HOP = [cmath.exp(-1j * radians * HOP) for radians in _RADIANS]  # undoes the advance in a hop

_time = np.arange(WINDOW) - (WINDOW - 1) / 2  # phases refer to the middle of a window
_hann = 0.5 + 0.5 * np.cos(2 * np.pi * _time / WINDOW)
_hann *= 2 / _hann.sum()  # a sine of peak A gives a magnitude of A
_waves = np.exp(-1j * np.outer(_time, _RADIANS))
_waves *= _hann[:, None] / FULL_SCALE
_WAVES = np.hstack((_waves.real, _waves.imag)).astype(np.float32)  # waves of _HZ in a Hann window
_SUM_OF_PARTS = np.tile(np.eye(len(_HZ), dtype=np.float32), (2, 1))  # a power is real² + imaginary²
_PER_ENERGY = 2 / float(np.square(_hann).sum())  # times the energy of a window with only a sine of peak A: A²
_ENERGY = (np.square(_hann / FULL_SCALE) * _PER_ENERGY).astype(np.float32)

_TWIST_RANGE = 10 ** (TWIST_MIN / 10), 10 ** (TWIST_MAX / 10)
_POWER_MIN = peak_of_dbm0(LEVEL_MIN) ** 2  # a power is A², A being a share of full scale, throughout
# If a span has less energy than this, no tone in any of its windows can reach LEVEL_MIN, by the Cauchy-Schwarz
# inequality.
_ENERGY_MIN = _POWER_MIN / float(np.square(_hann).sum()) * FULL_SCALE**2
_INT16 = np.dtype("<i2")

Powers = list[float]  # a window's power at each frequency of _HZ
Pair = tuple[int, int]  # a low and a high frequency, by their indices in _HZ
Hit = tuple[complex, complex, float]  # the amplitudes of both tones, and the total power in the window
_NO_POWERS: Powers = [0.0] * len(_HZ)


class DtmfDetector:
    """Detects the digits in one stream of 8 kHz, 16-bit little-endian, mono PCM."""

    def __init__(self) -> None:
        self._pending = bytes(_SPAN_BYTES - FRAME_BYTES)
        self._pair: Pair | None = None  # the pair of the latest hits
        self._hits: list[Hit] = []  # hits of `_pair` in a row, HITS at most
        self._recent = deque([_NO_POWERS], RECENT)  # powers at all frequencies in the latest windows
        self._held: Pair | None = None  # the pair of the digit that is being pressed
        self._held_powers = 0.0, 0.0  # powers of the held digit's two tones
        self._misses = 0  # windows in a row without the held digit

    @property
    def holding(self) -> bool:
        """Whether a digit is still being pressed."""
        return self._held is not None

    def feed(self, pcm: bytes) -> str:
        """The digits newly detected in this audio, one character for each press; '' if there are none.

        The audio may have any even length. A press is detected 30 to 35 ms after its onset, and reported with the
        frame in which it is detected; frames are counted from the start of the stream.
        """
        pending = self._pending + pcm
        digits, at = "", 0
        while len(pending) - at >= _SPAN_BYTES:
            digits += self._detect(pending[at : at + _SPAN_BYTES])
            at += FRAME_BYTES
        self._pending = pending[at:]
        return digits

    def _detect(self, span: bytes) -> str:
        """The digits detected in a frame; `span` is the frame, and before it the end of the previous frame."""
        samples = np.frombuffer(span, _INT16).astype(np.float32)
        if np.dot(samples, samples) < _ENERGY_MIN:  # silence or line noise, as most frames are
            self._hits.clear()
            self._recent.append(_NO_POWERS)
            self._miss(_WINDOWS)
            return ""
        windows = samples.take(_WINDOW_SAMPLES)
        parts = windows @ _WAVES
        powers = (parts * parts @ _SUM_OF_PARTS).tolist()
        totals = (windows * windows @ _ENERGY).tolist()
        digits = ""
        for n, (power, total) in enumerate(zip(powers, totals, strict=True)):  # floats are faster than numpy here
            self._recent.append(power)
            if self._held is not None:
                self._follow_held(power, self._held)
            low, high = max(power[:4]), max(power[4:])
            if low + high < PURITY_OF_WINDOW * total or low < _POWER_MIN or high < _POWER_MIN:
                self._hits.clear()
                continue
            i, j = power.index(low), power.index(high, 4)
            tones = [complex(parts[n, k], parts[n, k + len(_HZ)]) for k in (i, j)]
            digits += self._add_hit((i, j), (tones[0], tones[1], total))
        return digits

    def _add_hit(self, pair: Pair, hit: Hit) -> str:
        """Add a hit of `pair`, and return the digit that is detected with this hit; '' if none is detected."""
        if pair != self._pair:
            self._pair = pair
            self._hits.clear()
        if pair == self._held:
            return ""
        self._hits = [*self._hits[1 - HITS :], hit]
        powers = _verify_digit(pair, self._hits, self._recent) if len(self._hits) == HITS else None
        if powers is None:
            return ""
        self._held, self._held_powers, self._misses = pair, powers, 0
        self._hits.clear()
        return _DIGITS[pair]

    def _follow_held(self, power: Powers, held: Pair) -> None:
        """Keep the held digit while both of its tones are present."""
        if any(power[k] < PRESENT * of_tone for k, of_tone in zip(held, self._held_powers, strict=True)):
            self._miss(1)
        else:
            self._misses = 0

    def _miss(self, windows: int) -> None:
        self._misses += windows
        if self._misses >= MISSES:
            self._held = None


def _verify_digit(pair: Pair, hits: list[Hit], recent: Iterable[Powers]) -> tuple[float, float] | None:
    """The powers of both tones if these hits in a row are a digit; None if they are another sound."""
    each = [abs(low) ** 2 + abs(high) ** 2 for low, high, _ in hits]
    if min(each[0], each[-1]) < EDGE * sum(each[1:-1]) / (len(hits) - 2):
        return None
    low, high = _tone_power(pair[0], [hit[0] for hit in hits]), _tone_power(pair[1], [hit[1] for hit in hits])
    if not low * _TWIST_RANGE[0] <= high <= low * _TWIST_RANGE[1]:
        return None
    just_begun = any(power[pair[0]] < PRESENT * low or power[pair[1]] < PRESENT * high for power in recent)
    purity = (low + high) * len(hits) / sum(hit[2] for hit in hits)
    return (low, high) if purity >= (PURITY if just_begun else PURITY_OF_SUSTAINED) else None


def _tone_power(frequency: int, windows: list[complex]) -> float:
    """Mean power of a tone near _HZ[frequency], at the frequency that its phases show; 0 if it is too far off."""
    advance = sum(after * before.conjugate() for before, after in pairwise(windows)) * _UNDO_HOP[frequency]
    offset = cmath.phase(advance) / HOP  # radians a sample
    if abs(offset) > TOLERANCE * _RADIANS[frequency]:
        return 0.0
    x = offset * WINDOW / 2 or 1e-9
    response = math.sin(x) / x / (1 - (x / math.pi) ** 2)  # magnitude of a Hann window's response at that offset
    return sum(abs(tone) ** 2 for tone in windows) / len(windows) / response**2
