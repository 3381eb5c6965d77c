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
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.detection.dtmf_spectra import (
    HOP,
    HZ,
    RADIANS,
    SPAN,
    TAIL,
    WINDOW,
    WINDOWS,
    DtmfSpectra,
    least_energy,
)
from mediaserver.audio.detection.state_table import StateTable
from mediaserver.audio.level.levels import peak_of_dbm0
from mediaserver.audio.pcm import FRAME_BYTES, Chunker, Samples, from_bytes, to_bytes
from mediaserver.audio.products import Matrix
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


_RECENT_FRAMES = -(-(RECENT - 1) // WINDOWS)  # frames that hold the RECENT - 1 windows before the latest window

_DIGITS = {(HZ.index(low), HZ.index(high)): digit for digit, (low, high) in DTMF.items()}
_UNDO_HOP = [cmath.exp(-1j * radians * HOP) for radians in RADIANS]  # undo tones' phase advance by HOP samples

_TWIST_RANGE = 10 ** (TWIST_MIN / 10), 10 ** (TWIST_MAX / 10)
# In this module, the power of a sine is A², where A is its peak as a share of full scale.
_POWER_MIN = peak_of_dbm0(LEVEL_MIN) ** 2
# If the windows of a frame have less energy than this in all, no tone in them can reach LEVEL_MIN.
_ENERGY_MIN = least_energy(_POWER_MIN)

Pair = tuple[int, int]  # a low and a high DTMF frequency, by their indices in `HZ`
Hit = tuple[complex, complex, float]  # the amplitudes of both tones, and the total power in the window

# What the detection of a frame's windows needs of the frames before.
_STATES = StateTable(
    [
        ("tail", np.float32, (TAIL,)),  # the last samples of the latest frame
        ("recent", np.float32, (_RECENT_FRAMES, WINDOWS, len(HZ))),  # the powers of the latest frames, in turns
        ("frames", np.int64, ()),  # number of frames received so far
        ("active", np.bool_, ()),  # whether the latest window shows two DTMF tones, or a digit is being pressed
        ("partial", np.bool_, ()),  # whether the audio so far ended amid a frame
    ]
)


class DtmfDetector:
    """Detects the digits in one stream of 8 kHz, 16-bit little-endian, mono PCM."""

    def __init__(self) -> None:
        self.index = _STATES.add()  # the row of its state
        self._chunker = Chunker(FRAME_BYTES)
        self._pair: Pair | None = None  # the two DTMF frequencies that the latest windows show
        self._hits: list[Hit] = []  # the latest windows in a row that show one pair of frequencies, HITS at most
        self._held: Pair | None = None  # the two frequencies of the digit that is being pressed
        self._held_powers = 0.0, 0.0  # powers of the held digit's two tones
        self._misses = 0  # windows in a row without the held digit

    def __del__(self) -> None:
        _STATES.remove(self.index)

    @property
    def holding(self) -> bool:
        """Whether a digit is still being pressed."""
        return self._held is not None

    @property
    def latest(self) -> tuple[int, bytes]:
        """How many frames the detector has received, and PCM of the last 10 ms of the latest one."""
        states = _STATES.columns
        return int(states["frames"][self.index]), to_bytes(states["tail"][self.index].astype(np.int16))

    def feed(self, pcm: bytes) -> str:
        """The digits newly detected in this audio, one character for each press; '' if there are none.

        The audio may have any even length. A press is detected 30 to 35 ms after its onset, and reported with the
        frame in which it is detected; frames are counted from the start of the stream.
        """
        digits, at = "", np.array([self.index])
        for frame in self._chunker.feed(pcm):
            for found, _ in _detect(lambda _: self, at, from_bytes(frame)[None]).values():
                digits += found
        _STATES.columns["partial"][self.index] = bool(self._chunker.rest)
        return digits

    def _on_quiet_frame(self) -> None:
        """Process a frame that is silence or line noise, as most frames are."""
        self._hits.clear()
        if self._held is not None:
            self._miss(WINDOWS)

    def _on_frame(self, spectra: DtmfSpectra, row: int) -> str:
        """The digits detected in the windows of a frame, which is a row of `spectra`."""
        digits = ""
        powers = spectra.powers[:, row]
        for n, (shown, power) in enumerate(zip(spectra.shown[:, row].tolist(), powers.tolist(), strict=True)):
            if self._held is not None:
                self._follow_held(power, self._held)
            if not shown:
                self._hits.clear()
                continue
            pair = i, j = power.index(max(power[:4])), power.index(max(power[4:]), 4)
            tones = spectra.tones[n, row]
            if self._add_hit(pair, (complex(tones[i]), complex(tones[j]), float(spectra.totals[n, row]))):
                recent = np.concatenate((self._powers_before(), powers[: n + 1]))[-RECENT:]
                digits += self._digit_of_hits(pair, recent)
        return digits

    def _powers_before(self) -> Matrix:
        """The powers of the windows of the latest frames before this one, in order, shape (12, 8)."""
        turn = int(_STATES.columns["frames"][self.index]) % _RECENT_FRAMES
        powers: Matrix = np.roll(_STATES.columns["recent"][self.index], -turn, axis=0)
        return powers.reshape(-1, len(HZ))

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
    for detector n. No detector may be listed twice.
    """
    digits, held = [""] * len(detectors), [False] * len(detectors)
    rows = np.array([detector.index for detector in detectors], np.intp)
    for n, found in search_frames(detectors.__getitem__, rows, frames).items():
        digits[n], held[n] = found
    return digits, held


def search_frames(
    detector: Callable[[int], DtmfDetector], at: NDArray[np.intp], frames: Samples
) -> dict[int, tuple[str, bool]]:
    """Do what `detect_digits` does for detectors whose `index`es are `at`; `detector(n)` is the nth of these.

    Returns the digits of frame n, and whether the detector was `holding` after it, only for a frame in or before
    which there was a key, or something like it. So most frames need no object.
    """
    if not _STATES.columns["partial"].take(at).any():
        return _detect(detector, at, frames)
    found = {}
    for n, frame in enumerate(frames):  # a stream has had audio of another size than whole frames
        each = detector(n)
        found[n] = each.feed(to_bytes(frame)), each.holding
    return found


def _detect(
    detector: Callable[[int], DtmfDetector], at: NDArray[np.intp], frames: Samples
) -> dict[int, tuple[str, bool]]:
    """What `search_frames` does, where all streams have had whole frames."""
    states, count = _STATES.columns, len(at)
    spans = np.empty((count, SPAN), np.float32)
    spans[:, :TAIL] = states["tail"].take(at, axis=0)
    spans[:, TAIL:] = frames
    states["tail"][at] = spans[:, -TAIL:]
    loud: NDArray[np.bool_] = np.vecdot(spans, spans) >= _ENERGY_MIN
    powers: Matrix | float = 0.0
    with_tones: NDArray[np.bool_] = np.zeros(count, np.bool_)
    if loud.all():
        spectra = DtmfSpectra(spans, PURITY_OF_WINDOW, _POWER_MIN)
        powers, with_tones = spectra.powers.transpose(1, 0, 2), spectra.with_tones
    elif loud.any():
        spectra = DtmfSpectra(spans[loud], PURITY_OF_WINDOW, _POWER_MIN)
        powers = np.zeros((count, WINDOWS, len(HZ)), np.float32)
        powers[loud] = spectra.powers.transpose(1, 0, 2)
        with_tones[loud] = spectra.with_tones
    found: dict[int, tuple[str, bool]] = {}
    active = states["active"].take(at) | with_tones
    if active.any():
        rows = loud.cumsum() - 1
        for n in active.nonzero()[0].tolist():
            each, digits = detector(n), ""
            if not loud[n]:
                each._on_quiet_frame()
            elif with_tones[n] or each._held is not None:
                digits = each._on_frame(spectra, rows[n])
            else:
                each._hits.clear()
            found[n] = digits, each._held is not None
            active[n] = each._held is not None or bool(each._hits)
        states["active"][at] = active
    frames_before = states["frames"].take(at)
    states["recent"][at, frames_before % _RECENT_FRAMES] = powers
    frames_before += 1
    states["frames"][at] = frames_before
    return found


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
    if abs(offset) > TOLERANCE * RADIANS[frequency]:
        return 0.0
    x = offset * WINDOW / 2 or 1e-9
    response = math.sin(x) / x / (1 - (x / math.pi) ** 2)  # magnitude of a Hann window's response at the offset
    return sum(abs(tone) ** 2 for tone in windows) / len(windows) / response**2
