"""A DTMF receiver: which digits of ITU-T Q.23 are pressed in a stream, within the limits of ITU-T Q.24.

Every 5 ms a Hann window of 15 ms is taken through the eight frequencies: what Goertzel's algorithm computes
sample by sample, here one small matrix product a frame. A window is a *hit* where one frequency of each group
together hold most of its energy. Speech and music put theirs elsewhere as well: nearly all of it ends here. A
press is certain after HITS hits of one pair in a row if, over all of them,
- the phases turn from window to window as those of a steady tone within tolerance do: this tells 1.5 % from 3.5 %
  in 20 ms, where a filter as sharp would have to listen for longer than a digit lasts;
- two tones of the frequencies so measured hold nearly all energy, and more still where neither has just begun: a
  digit comes out of nothing, while two notes of a chord are left over when the others die away;
- the twist is within limits, and both ends are as loud as the middle: the tones filled all the windows.
The digit is then held, and not heard again, until either tone has been gone for longer than an interruption.

The limits are those of Q.24, table A-1, for AT&T, with a margin; what lies between "is to be heard" and "is not to
be heard" it leaves open. Twist is the level of the high group less that of the low group: -8 dB (forward, or
normal: a line loses more at high frequencies) to +4 dB (reverse) is to be heard. Nothing is assumed of any other
sound but that it is weak: a dial tone may lie under the digit at 10 dB below it, tone for tone, but not louder.
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

LEVEL_MIN = -33.0  # dBm0 of either tone: 0 to -29 is heard (Q.24: 0 to -25 is to be), -34 is not
TWIST_MIN, TWIST_MAX = -9.5, 5.5  # dB: Q.24's range, and 1.5 dB for what noise does to the measurement
TOLERANCE = 0.018  # of a frequency: ±1.5 % is to be heard, ±3.5 % is not; the note G5 is 1.82 % above 770 Hz
PURITY_OF_WINDOW = 0.6  # share of a window's energy in two tones, 84 % if they are 1.5 % off: saves looking closer
PURITY = 0.88  # the same over all windows, at the frequencies measured; noise at -15 dB leaves 0.91 and more
PURITY_OF_SUSTAINED = 0.97  # the same where both tones have been there for longer than RECENT
RECENT = 12  # windows, 60 ms: the digit's own and those in which it began
EDGE = 0.63  # (-2 dB) power of the first and last window to those between: passed from 24 ms of sound on
PRESENT = 0.1  # (-10 dB) power to a digit's own that is taken for it; an echo is weaker (Q.24: 10 dB)
HITS = 5  # windows, 35 ms in all, which 40 ms of sound always fill and 23 ms never do
MISSES = 4  # windows without the digit that end it: more than an interruption (10 ms), less than a pause (40 ms)

HOP = 40  # samples, 5 ms
WINDOW = 120  # samples, 15 ms: the main lobe is 133 Hz wide to either side, the groups are 268 Hz apart

_WINDOWS = FRAME_SAMPLES // HOP  # those of a frame are taken together: that costs least, and no time
_SPAN_BYTES = (FRAME_SAMPLES + WINDOW - HOP) * SAMPLE_BYTES  # the first of them reach back into the frame before
_AT = np.arange(_WINDOWS)[:, None] * HOP + np.arange(WINDOW)  # which samples of the span they are

_HZ = sorted({low for low, _ in DTMF.values()}) + sorted({high for _, high in DTMF.values()})
_DIGITS = {(_HZ.index(low), _HZ.index(high)): digit for digit, (low, high) in DTMF.items()}
_TURN = [2 * math.pi * hz / SAMPLE_RATE for hz in _HZ]  # radians a sample
_HOP_BACK = [cmath.exp(-1j * turn * HOP) for turn in _TURN]  # takes back what the exact frequency turns in a hop

_time = np.arange(WINDOW) - (WINDOW - 1) / 2  # so that phases are those at the middle of a window
_hann = 0.5 + 0.5 * np.cos(2 * np.pi * _time / WINDOW)
_hann *= 2 / _hann.sum()  # so that a sine of peak A gives a magnitude of A
_waves = np.exp(-1j * np.outer(_time, _TURN))
_waves *= _hann[:, None] / FULL_SCALE
_WAVES = np.hstack((_waves.real, _waves.imag)).astype(np.float32)  # windowed
_SUM_OF_PARTS = np.tile(np.eye(len(_HZ), dtype=np.float32), (2, 1))  # a power is its wave's two squares
_PER_ENERGY = 2 / float(np.square(_hann).sum())  # times a window's energy is A² of a lone sine of that energy
_ENERGY = (np.square(_hann / FULL_SCALE) * _PER_ENERGY).astype(np.float32)

_TWIST_RANGE = 10 ** (TWIST_MIN / 10), 10 ** (TWIST_MAX / 10)
_POWER_MIN = peak_of_dbm0(LEVEL_MIN) ** 2  # powers are A² throughout
# By the Cauchy-Schwarz inequality, no window of a span with less energy than this holds even one tone that loud.
_ENERGY_MIN = _POWER_MIN / float(np.square(_hann).sum()) * FULL_SCALE**2
_INT16 = np.dtype("<i2")

Powers = list[float]  # at each of _HZ
Pair = tuple[int, int]  # a low and a high frequency, by their places in _HZ
Hit = tuple[complex, complex, float]  # the amplitudes of both, and the power of everything in the window
_NOTHING: Powers = [0.0] * len(_HZ)


class DtmfDetector:
    """Hears the digits of one stream of 8 kHz, 16-bit little-endian, mono PCM."""

    def __init__(self) -> None:
        self._pending = bytes(_SPAN_BYTES - FRAME_BYTES)
        self._pair: Pair | None = None  # what the latest hits are of
        self._run: list[Hit] = []  # those in a row, HITS at most
        self._recent = deque([_NOTHING], RECENT)  # powers at all frequencies in the latest windows
        self._held: Pair | None = None  # the digit being pressed
        self._loudness = 0.0, 0.0  # its two powers
        self._misses = 0  # windows in a row without it

    @property
    def holding(self) -> bool:
        """Whether a digit is still being pressed."""
        return self._held is not None

    def feed(self, pcm: bytes) -> str:
        """Digits whose press was recognised within this audio ('' as a rule), each press once.

        Audio of any even length, cut up in any way. A press is certain 30 to 35 ms after its onset, and reported
        with the frame that makes it so; frames are counted from the start of the stream.
        """
        pending = self._pending + pcm
        digits, at = "", 0
        while len(pending) - at >= _SPAN_BYTES:
            digits += self._frame(pending[at : at + _SPAN_BYTES])
            at += FRAME_BYTES
        self._pending = pending[at:]
        return digits

    def _frame(self, span: bytes) -> str:
        samples = np.frombuffer(span, _INT16).astype(np.float32)
        if np.dot(samples, samples) < _ENERGY_MIN:  # silence and line noise: most of what a server receives
            self._run.clear()
            self._recent.append(_NOTHING)
            self._miss(_WINDOWS)
            return ""
        windows = samples.take(_AT)
        parts = windows @ _WAVES
        powers = (parts * parts @ _SUM_OF_PARTS).tolist()
        totals = (windows * windows @ _ENERGY).tolist()
        digits = ""
        for n, (power, total) in enumerate(zip(powers, totals, strict=True)):  # plain floats from here on: faster
            self._recent.append(power)
            if self._held is not None:
                self._follow(power, self._held)
            low, high = max(power[:4]), max(power[4:])
            if low + high < PURITY_OF_WINDOW * total or low < _POWER_MIN or high < _POWER_MIN:
                self._run.clear()
                continue
            i, j = power.index(low), power.index(high, 4)
            tones = [complex(parts[n, k], parts[n, k + len(_HZ)]) for k in (i, j)]
            digits += self._hit((i, j), (tones[0], tones[1], total))
        return digits

    def _hit(self, pair: Pair, hit: Hit) -> str:
        """The digit that this hit makes certain, or ''."""
        if pair != self._pair:
            self._pair = pair
            self._run.clear()
        if pair == self._held:
            return ""
        self._run = [*self._run[1 - HITS :], hit]
        loudness = _certain(pair, self._run, self._recent) if len(self._run) == HITS else None
        if loudness is None:
            return ""
        self._held, self._loudness, self._misses = pair, loudness, 0
        self._run.clear()
        return _DIGITS[pair]

    def _follow(self, power: Powers, held: Pair) -> None:
        """Keep the held digit while both of its tones go on."""
        if any(power[k] < PRESENT * loudness for k, loudness in zip(held, self._loudness, strict=True)):
            self._miss(1)
        else:
            self._misses = 0

    def _miss(self, windows: int) -> None:
        self._misses += windows
        if self._misses >= MISSES:
            self._held = None


def _certain(pair: Pair, run: list[Hit], recent: Iterable[Powers]) -> tuple[float, float] | None:
    """The powers of both tones if the run is a digit, and nothing but a digit."""
    each = [abs(low) ** 2 + abs(high) ** 2 for low, high, _ in run]
    if min(each[0], each[-1]) < EDGE * sum(each[1:-1]) / (len(run) - 2):
        return None
    low, high = _tone_power(pair[0], [hit[0] for hit in run]), _tone_power(pair[1], [hit[1] for hit in run])
    if not low * _TWIST_RANGE[0] <= high <= low * _TWIST_RANGE[1]:
        return None
    begun = any(power[pair[0]] < PRESENT * low or power[pair[1]] < PRESENT * high for power in recent)
    purity = (low + high) * len(run) / sum(hit[2] for hit in run)
    return (low, high) if purity >= (PURITY if begun else PURITY_OF_SUSTAINED) else None


def _tone_power(which: int, windows: list[complex]) -> float:
    """Mean power of a tone, at the frequency that its phases tell; 0 if that is out of tolerance."""
    turn = sum(after * before.conjugate() for before, after in pairwise(windows)) * _HOP_BACK[which]
    off = cmath.phase(turn) / HOP  # radians a sample
    if abs(off) > TOLERANCE * _TURN[which]:
        return 0.0
    x = off * WINDOW / 2 or 1e-9
    response = math.sin(x) / x / (1 - (x / math.pi) ** 2)  # of a Hann window, that far off its centre
    return sum(abs(tone) ** 2 for tone in windows) / len(windows) / response**2
