"""A DTMF receiver: it detects the digits of ITU-T Q.23 in a stream, within the limits of ITU-T Q.24.

Every 5 ms, a Hann window of 15 ms is correlated with the eight DTMF frequencies. Goertzel's algorithm computes
these correlations sample by sample; here they are one small matrix product per frame. A window is a *hit* if the
strongest frequency of the low group and the strongest of the high group together hold most of the window's energy.
Speech and music spread their energy over other frequencies as well, so this test rejects nearly all of them. A key
press is detected after HITS hits of one pair of frequencies in a row, if three conditions hold over all of them:
- The phases advance from window to window as those of a steady tone within tolerance do. This test tells an error
  of 1.5 % in frequency from an error of 3.5 % within 20 ms. A filter as sharp would need more time than a digit
  lasts.
- Two tones at the frequencies that the phases show hold nearly all of the energy. If both tones have sounded for a
  while, they must hold even more of the energy. A digit begins out of silence, while two notes of a chord may
  sound on when the chord's other notes die away.
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
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.level.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, Samples
from mediaserver.audio.products import Matrix, products
from mediaserver.audio.tones import DTMF

LEVEL_MIN = -33.0  # least level in dBm0 of either tone: 0 to -29 is detected (Q.24 requires 0 to -25), -34 is not
TWIST_MIN, TWIST_MAX = -9.5, 5.5  # limits of the twist in dB: Q.24's range, widened by the 1.5 dB that noise adds
# Share of a DTMF frequency by which a tone may differ from it. Q.24 admits ±1.5 % and rejects ±3.5 %. A limit of
# 1.8 % also rejects the note G5, which is 1.82 % above 770 Hz.
TOLERANCE = 0.018
# A cheap first test: the least share of a window's energy that two tones must hold. Tones whose frequencies are
# 1.5 % off hold 0.84.
PURITY_OF_WINDOW = 0.6
# The least share of all windows' energy that both tones must hold at the measured frequencies. With noise at
# -15 dB, a digit still holds 0.91 or more.
PURITY = 0.88
PURITY_OF_SUSTAINED = 0.97  # the least share of the energy that two tones longer than RECENT windows must hold
RECENT = 12  # number of the latest windows (70 ms) that reach back to the onset of a new digit
# The least power of the first and the last window, relative to the windows between them (-2 dB). A sound shorter
# than 24 ms does not reach this power.
EDGE = 0.63
# A tone of the held digit counts as present if it has at least this share (-10 dB) of the power that it had at the
# digit's detection. An echo has less power (Q.24: 10 dB below the digit).
PRESENT = 0.1
HITS = 5  # number of windows that show a digit, 35 ms in all: 40 ms of sound always fill them, 23 ms never do
MISSES = 4  # windows without the held digit that end it: longer than an interruption (10 ms), shorter than a pause

HOP = 40  # samples from one window to the next: 5 ms
# Samples of a window (15 ms): its main lobe is 133 Hz wide to either side; the DTMF groups are 268 Hz apart.
WINDOW = 120

_WINDOWS, _HOPS = FRAME_SAMPLES // HOP, WINDOW // HOP  # number of windows in a frame, and of hops in a window
_TAIL = WINDOW - HOP  # number of samples by which a frame's first windows reach back into the previous frame
_SPAN = _TAIL + FRAME_SAMPLES  # number of samples in a span, which is what all windows of one frame cover
_TAIL_BYTES, _SPAN_BYTES = _TAIL * SAMPLE_BYTES, _SPAN * SAMPLE_BYTES
_RECENT_FRAMES = -(-(RECENT - 1) // _WINDOWS)  # frames that hold the RECENT - 1 windows before the latest window

_HZ = sorted({low for low, _ in DTMF.values()}) + sorted({high for _, high in DTMF.values()})
_DIGITS = {(_HZ.index(low), _HZ.index(high)): digit for digit, (low, high) in DTMF.items()}
_RADIANS = [2 * math.pi * hz / SAMPLE_RATE for hz in _HZ]  # phase advance per sample of each DTMF frequency
_UNDO_HOP = [cmath.exp(-1j * radians * HOP) for radians in _RADIANS]  # undo tones' phase advance by HOP samples

_time = np.arange(WINDOW) - (WINDOW - 1) / 2  # phases refer to the middle of a window
_hann = 0.5 + 0.5 * np.cos(2 * np.pi * _time / WINDOW)
_hann *= 2 / _hann.sum()  # scales the window, so that a sine of peak A has the magnitude A
_waves = np.exp(-1j * np.outer(_time, _RADIANS))
_waves *= _hann[:, None] / FULL_SCALE
_waves = np.hstack((_waves.real, _waves.imag))  # DTMF sines in a Hann window
# A factor: multiplied by it, the energy of a window with only a sine of peak A is A².
_PER_ENERGY = 2 / float(np.square(_hann).sum())
_energy = np.square(_hann / FULL_SCALE)[:, None] * _PER_ENERGY
# What the first, the second and the third hop of a window are multiplied by, side by side.
_WAVES, _ENERGY = (np.hstack(np.split(of_window, _HOPS)).astype(np.float32) for of_window in (_waves, _energy))

_TWIST_RANGE = 10 ** (TWIST_MIN / 10), 10 ** (TWIST_MAX / 10)
# In this module, the power of a sine is A², where A is its peak as a share of full scale.
_POWER_MIN = peak_of_dbm0(LEVEL_MIN) ** 2
# If the windows of a frame have less energy than this in all, no tone in them can reach LEVEL_MIN, by the
# Cauchy-Schwarz inequality.
_ENERGY_MIN = _POWER_MIN / float(np.square(_hann).sum()) * FULL_SCALE**2
_INT16 = np.dtype("<i2")

Pair = tuple[int, int]  # a low and a high DTMF frequency, by their indices in `_HZ`
Hit = tuple[complex, complex, float]  # the amplitudes of both tones, and the total power in the window
_NO_POWERS: tuple[Matrix, int] = np.zeros((1, _WINDOWS, len(_HZ)), np.float32), 0


class DtmfDetector:
    """Detects the digits in one stream of 8 kHz, 16-bit little-endian, mono PCM."""

    def __init__(self) -> None:
        self.pending = bytes(_TAIL_BYTES)  # the previous frame's end and what came since; new after each frame
        self._pair: Pair | None = None  # the two DTMF frequencies that the latest windows show
        self._hits: list[Hit] = []  # the latest windows in a row that show one pair of frequencies, HITS at most
        # The powers of the latest frames. Each is a row of an array, which may have rows of other streams as well.
        self._recent = deque([_NO_POWERS], _RECENT_FRAMES)
        self._held: Pair | None = None  # the two frequencies of the digit that is being pressed
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
        pending = self.pending + pcm
        digits, at = "", 0
        while len(pending) - at >= _SPAN_BYTES:
            samples = np.frombuffer(pending, _INT16, _SPAN, at).astype(np.float32)
            at += FRAME_BYTES
            if np.dot(samples, samples) < _ENERGY_MIN:
                self.on_quiet_frame()
            else:
                digits += self.on_frame(_Spectra(samples[None]), 0)
        self.pending = pending[at:]
        return digits

    def on_quiet_frame(self) -> None:
        """Process a frame that is silence or line noise, as most frames are."""
        self._hits.clear()
        self._recent.append(_NO_POWERS)
        if self._held is not None:
            self._miss(_WINDOWS)

    def on_frame(self, spectra: "_Spectra", row: int) -> str:
        """The digits detected in the windows of a frame, which is a row of `spectra`."""
        digits, before = "", [powers[n] for powers, n in self._recent]
        self._recent.append((spectra.powers, row))
        powers, parts = spectra.powers[row], spectra.parts[row]
        totals = spectra.totals[row].tolist()
        for n, power in enumerate(powers.tolist()):  # Python's floats are faster than numpy for 8 values
            if self._held is not None:
                self._follow_held(power, self._held)
            low, high = max(power[:4]), max(power[4:])
            if low + high < PURITY_OF_WINDOW * totals[n] or low < _POWER_MIN or high < _POWER_MIN:
                self._hits.clear()
                continue
            pair = i, j = power.index(low), power.index(high, 4)
            tones = [complex(parts[n, k], parts[n, k + len(_HZ)]) for k in (i, j)]
            if self._add_hit(pair, (tones[0], tones[1], totals[n])):
                recent = np.concatenate((*before, powers[: n + 1]))[-RECENT:]
                digits += self._digit_of_hits(pair, recent)
        return digits

    def _add_hit(self, pair: Pair, hit: Hit) -> bool:
        """Add a hit, a window with two DTMF tones. Returns whether there are enough in a row to verify a digit."""
        if pair != self._pair:
            self._pair = pair
            self._hits.clear()
        if pair == self._held:
            return False
        self._hits = [*self._hits[1 - HITS :], hit]
        return len(self._hits) == HITS

    def _digit_of_hits(self, pair: Pair, recent: Matrix) -> str:
        """Verify the latest hits as a digit. Returns the digit, held from now on, or '' for another sound."""
        powers = _verify_digit(pair, self._hits, recent)
        if powers is None:
            return ""
        self._held, self._held_powers, self._misses = pair, powers, 0
        self._hits.clear()
        return _DIGITS[pair]

    def _follow_held(self, power: list[float], held: Pair) -> None:
        """Keep the held digit while both of its tones are present."""
        if any(power[k] < PRESENT * of_tone for k, of_tone in zip(held, self._held_powers, strict=True)):
            self._miss(1)
        else:
            self._misses = 0

    def _miss(self, windows: int) -> None:
        self._misses += windows
        if self._misses >= MISSES:
            self._held = None


def detect_digits(detectors: Sequence[DtmfDetector], frames: Samples) -> tuple[list[str], list[bool]]:
    """Feed the next frame of each of several streams to its detector; return the digits newly detected in each.

    Returns also whether each detector was `holding` after its frame. Row n of `frames`, shape (n, 160), int16, is
    for detector n. A detector may be listed for several rows, in the order of its stream's frames.
    """
    pcm = frames.astype("<i2").tobytes()
    if sum([len(each.pending) for each in detectors]) != len(detectors) * _TAIL_BYTES:
        # A stream has had audio of another size than whole frames, so each detector is fed alone.
        alone = [
            (each.feed(pcm[n * FRAME_BYTES :][:FRAME_BYTES]), each.holding) for n, each in enumerate(detectors)
        ]
        return [digits for digits, _ in alone], [holding for _, holding in alone]
    tails: list[bytes] = []
    end = 0
    for detector in detectors:
        tails.append(detector.pending)
        end += FRAME_BYTES
        detector.pending = pcm[end - _TAIL_BYTES : end]
    before = np.frombuffer(b"".join(tails), _INT16).reshape(len(detectors), _TAIL)
    samples = np.concatenate((before, frames), axis=1).astype(np.float32)
    loud = np.einsum("ij,ij->i", samples, samples) >= _ENERGY_MIN
    if not loud.any():
        held: list[bool] = []
        for detector in detectors:
            detector.on_quiet_frame()
            held.append(detector._held is not None)
        return [""] * len(detectors), held
    spectra = _Spectra(samples if loud.all() else samples[loud])
    with_tones, powers = iter(spectra.frames_with_tones()), spectra.powers
    digits: list[str] = []
    held = []
    row = 0
    for detector, is_loud in zip(detectors, loud.tolist(), strict=True):
        found = ""
        if not is_loud:
            detector.on_quiet_frame()
        else:
            if next(with_tones) or detector._held is not None:
                found = detector.on_frame(spectra, row)
            else:
                detector._hits.clear()
                detector._recent.append((powers, row))
            row += 1
        digits.append(found)
        held.append(detector._held is not None)
    return digits, held


class _Spectra:
    """The spectra of several frames' windows at the eight DTMF frequencies; `spans` has shape (n, 240), float32.

    `parts` has shape (n, 4, 16): for each of a frame's 4 windows 8 real parts, then 8 imaginary ones. `powers` has
    shape (n, 4, 8). `totals`, each window's power at all frequencies, has shape (n, 4).
    """

    def __init__(self, spans: NDArray[np.float32]) -> None:
        hops = spans.reshape(-1, HOP)
        self.parts = _sums_over_windows(products(hops, _WAVES))
        self.totals = _sums_over_windows(products(np.square(hops), _ENERGY))[..., 0]
        squares = self.parts * self.parts
        self.powers = squares[..., : len(_HZ)] + squares[..., len(_HZ) :]

    def frames_with_tones(self) -> list[bool]:
        """For each frame, whether any of its windows shows two DTMF tones."""
        powers = self.powers
        # Numpy takes thrice as long for the maximum along an axis of four as for maxima of whole columns.
        low = np.maximum(np.maximum(powers[..., 0], powers[..., 1]), np.maximum(powers[..., 2], powers[..., 3]))
        high = np.maximum(np.maximum(powers[..., 4], powers[..., 5]), np.maximum(powers[..., 6], powers[..., 7]))
        pure = low + high >= PURITY_OF_WINDOW * self.totals
        result: list[bool] = np.any(pure & (low >= _POWER_MIN) & (high >= _POWER_MIN), axis=1).tolist()
        return result


def _sums_over_windows(of_hops: Matrix) -> Matrix:
    """The sum over the three hops of each window, shape (n, 4, k).

    `of_hops`, shape (n * 6, 3 * k), has k figures of each hop as a window's first, its second and its third.
    """
    each = of_hops.reshape(-1, _WINDOWS + _HOPS - 1, _HOPS, of_hops.shape[1] // _HOPS)
    return each[:, :_WINDOWS, 0] + each[:, 1 : _WINDOWS + 1, 1] + each[:, 2 : _WINDOWS + 2, 2]


def _verify_digit(pair: Pair, hits: list[Hit], recent: Matrix) -> tuple[float, float] | None:
    """The powers of both tones if `hits`, windows in a row that show the tones `pair`, are a digit; else None."""
    each = [abs(low) ** 2 + abs(high) ** 2 for low, high, _ in hits]
    if min(each[0], each[-1]) < EDGE * sum(each[1:-1]) / (len(hits) - 2):
        return None
    low, high = _tone_power(pair[0], [hit[0] for hit in hits]), _tone_power(pair[1], [hit[1] for hit in hits])
    if not low * _TWIST_RANGE[0] <= high <= low * _TWIST_RANGE[1]:
        return None
    tones = recent[:, pair].astype(np.float64)
    just_begun = bool((tones < (PRESENT * low, PRESENT * high)).any())
    purity = (low + high) * len(hits) / sum(hit[2] for hit in hits)
    return (low, high) if purity >= (PURITY if just_begun else PURITY_OF_SUSTAINED) else None


def _tone_power(frequency: int, windows: list[complex]) -> float:
    """Mean power of a tone near _HZ[frequency], at the frequency that the phases show; 0 if that is not near."""
    advance = sum(after * before.conjugate() for before, after in pairwise(windows)) * _UNDO_HOP[frequency]
    offset = cmath.phase(advance) / HOP  # radians per sample by which the tone is off the DTMF frequency
    if abs(offset) > TOLERANCE * _RADIANS[frequency]:
        return 0.0
    x = offset * WINDOW / 2 or 1e-9
    response = math.sin(x) / x / (1 - (x / math.pi) ** 2)  # magnitude of a Hann window's response at the offset
    return sum(abs(tone) ** 2 for tone in windows) / len(windows) / response**2
