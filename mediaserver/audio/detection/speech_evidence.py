"""How much evidence of speech a frame is, by what was measured of it. Evidence is added up, frame by frame.

The constants were chosen with the voices, the noises and the music of `benchmarks/barge_in`.
"""

from typing import TypeVar

from mediaserver.audio.detection.spectrum import LONGEST_PERIOD, SHORTEST_PERIOD, Window

Figures = TypeVar("Figures", float, Window)  # of one frame, or of several

VOICED = 0.42  # a frame whose periodicity is above this is voiced
# Noise makes a voice less periodic. Therefore the periodicity is raised by this multiple of the share of a frame's
# power that lies in bands that do not stand out from the noise.
_NOISE_CORRECTION = 0.7
_CONCENTRATION = 0.97  # a frame whose concentration is above this is a single tone, even a modulated one
# The change of the spectrum above which a voiced frame is evidence of speech. It falls from the first value to the
# second as the periodicity rises from the first value to the second: the spectrum of a monotonous voice changes
# little, but one voice alone is more periodic than chords and noise are.
_CHANGES, _PERIODICITIES = (0.46, 0.24), (0.78, 0.95)
_RISE = _PERIODICITIES[1] - _PERIODICITIES[0]
_CHANGE_FALL = (_CHANGES[0] - _CHANGES[1]) / _RISE
_CHANGE_RANGE = 0.22  # by how much more the spectrum must change for an evidence of 1
_MOST = 1.2  # the most evidence of speech of one frame
# A pitch period that differs by more than the first factor from that of the frame before is not of one voice. The
# evidence of such a frame is multiplied by the second number.
_JUMP, _JUMPING = 1.125, 0.5
_STEADY = 0.25  # a frame whose spectrum changes less than this is steady
AGAINST = 0.8  # the most evidence of speech that a steady frame takes away
FADING = 0.15  # evidence of speech that a frame takes away if it is neither speech nor steady
# A consonant without voice is like a burst of noise. It adds evidence only where there is little so far.
_UNVOICED, _UNVOICED_LIMIT, _UNVOICED_BANDS, _UNVOICED_SHARE, _UNVOICED_CHANGE = 0.6, 0.65, 5, 0.8, 0.5


def without_noise(periodicity: Figures, share: Figures) -> Figures:
    """The periodicity of frames as it would be without noise; `share` is that of the bands that stand out."""
    return periodicity * (1 + _NOISE_CORRECTION - _NOISE_CORRECTION * share)


def evidence_of(
    known: float,
    bands: int,
    share: float,
    change: float,
    periodicity: float,
    period: int,
    period_before: int,
    concentration: float,
) -> float:
    """The evidence of speech in a frame, negative if the frame speaks against speech.

    `known` is the evidence of the frames before. `bands` is the number of the frame's bands that stand out from
    the noise, and `share` their share of its power. `change`, `period` and `concentration` are those of
    `spectrum`, and `periodicity` that of `without_noise`. `period_before` is the pitch period of the frame before,
    0 if that was not voiced.
    """
    # Where the likest period is the shortest or the longest, there is none in between, as in the rumble of wind.
    voiced = periodicity > VOICED and SHORTEST_PERIOD < period < LONGEST_PERIOD
    if voiced and concentration < _CONCENTRATION:
        # Comparisons take half the time of `min` and `max`.
        above = periodicity - _PERIODICITIES[0]
        least = _CHANGES[0] - (_CHANGE_FALL * (above if above < _RISE else _RISE) if above > 0 else 0.0)
        gained = (change - least) / _CHANGE_RANGE
        if gained <= 0:
            return gained if gained > -AGAINST else -AGAINST
        if gained > _MOST:
            gained = _MOST
        jumps = period_before and (period > _JUMP * period_before or period_before > _JUMP * period)
        return gained * _JUMPING if jumps else gained
    if change < _STEADY:
        return -AGAINST
    unvoiced = bands >= _UNVOICED_BANDS and share > _UNVOICED_SHARE and change > _UNVOICED_CHANGE
    return _UNVOICED if unvoiced and known < _UNVOICED_LIMIT else -FADING
