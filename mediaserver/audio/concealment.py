"""Packet loss concealment by pitch waveform replication (ITU-T G.711 Appendix I, 09/1999).

Lost audio is replaced by repetitions of the last pitch periods before it: of one period in the first 10 ms, of two
in the next 10 ms, and then of three, because many repetitions of a single period sound like a beep. The
replacement is at full level for 10 ms. Then it fades linearly, and it is silence from 60 ms on. The audio after
the loss is cross-faded with the continuing replacement.

One step differs from the recommendation, which delays all audio by 3.75 ms in order to blend the last samples
before the loss with the replacement. This module delays no audio, so those samples are played already. Therefore
the replacement begins at the level of the last sample, and the difference from the repeated period fades over a
quarter of the period.
"""

import functools

import numpy as np

from mediaserver.audio.pcm import SAMPLE_RATE, Samples, Signal

# The shortest and the longest pitch period in samples: 200 Hz and 66.7 Hz. Of a voice with a higher pitch, several
# periods are found as one.
_MIN_PITCH, _MAX_PITCH = 40, 120
_CORRELATED = 160  # number of samples whose correlation with earlier samples shows the pitch period: 20 ms
_MIN_ENERGY = 250.0  # least energy by which a correlation is divided, so that the pitch of near silence is defined
_STEP = SAMPLE_RATE // 100  # samples after which the replacement of lost audio repeats another pitch period: 10 ms
_SILENT_AFTER = 6 * _STEP  # number of lost samples after which the replacement is silence: 60 ms
# The level of the replacement, as a factor of 0 to 1, by the number of samples since the replacement began.
_LEVELS = np.interp(np.arange(_SILENT_AFTER + 1), (_STEP, _SILENT_AFTER), (1, 0))
_MAX_PERIODS = 3
_OVERLAP_GROWTH = 32  # samples added to the cross-fade after the loss, per 10 ms of loss
_MAX_OVERLAP = _STEP  # number of samples in the longest cross-fade
HISTORY = _MAX_PERIODS * _MAX_PITCH + _MAX_PITCH // 4  # number of samples before a loss used to conceal it: 390


def conceal(history: Samples, lost: int, following: Samples) -> tuple[Samples, Samples]:
    """Replace lost audio: the replacement, shape (lost,), and `following` cross-faded with its continuation.

    All audio is 8 kHz. `history` is the audio before the loss, of which at most the last 390 samples are used. A
    shorter history is filled up with silence. `lost` is the number of lost samples, at least 1. `following` is the
    audio after the loss, any number of samples, of which at most the first 80 change.
    """
    before = np.zeros(HISTORY)
    if len(history):
        before[-len(history[-HISTORY:]) :] = history[-HISTORY:]
    pitch = _pitch_period(before)
    steps = -(-lost // _STEP)
    overlap = min(pitch // 4 + (steps - 1) * _OVERLAP_GROWTH, _MAX_OVERLAP, len(following))
    sounding = min(lost, _SILENT_AFTER)
    continuation = _repeat_periods(before, pitch, min(steps, _MAX_PERIODS), sounding + overlap)
    replacement, joined = np.zeros(lost, np.int16), following.copy()
    replacement[:sounding] = _round(continuation[:sounding] * _LEVELS[:sounding])
    joined[:overlap] = _round(_cross_fade(continuation[sounding:] * _LEVELS[sounding], joined[:overlap]))
    return replacement, joined


def _pitch_period(before: Signal) -> int:
    """The lag, in samples, at which the last 20 ms resemble earlier samples most."""
    lagging = before[-_CORRELATED - _MAX_PITCH : -_MIN_PITCH]
    correlations = np.correlate(lagging, before[-_CORRELATED:])
    sums = np.concatenate(((0.0,), (lagging * lagging).cumsum()))
    energies = np.maximum(sums[_CORRELATED:] - sums[:-_CORRELATED], _MIN_ENERGY)
    # Scores are sorted by lag, so that the shortest of equally good lags is chosen.
    scores = (correlations / np.sqrt(energies))[::-1]
    return _MIN_PITCH + int(scores.argmax())


def _repeat_periods(before: Signal, pitch: int, max_periods: int, size: int) -> Signal:
    """`size` samples that continue `before` by repeating its last pitch period.

    After each 10 ms, one more of its last pitch periods is repeated, up to `max_periods`.
    """
    overlap = pitch // 4
    parts: list[Signal] = []
    ending = np.empty(0)  # the continuation of the previous 10 ms, with which the next 10 ms are blended
    offset = 0  # the index of the next sample in the loop of pitch periods
    for periods in range(1, max_periods + 1):
        loop = _loop(before, pitch, periods)
        last = periods == max_periods
        end = offset + (size - len(parts) * _STEP if last else _STEP)
        repeated = np.tile(loop, -(-(end + overlap) // len(loop)))
        part = repeated[offset:end]
        if parts:
            part[:overlap] = _cross_fade(ending[: len(part)], part[:overlap])
        parts.append(part)
        ending, offset = repeated[end : end + overlap], end % len(loop)
        while offset > pitch:
            offset -= pitch
    replacement = np.concatenate(parts)
    start = replacement[:overlap]
    start += (before[-1] - before[-1 - pitch]) * (1 - _ramp(overlap)[: len(start)])
    return replacement


def _loop(before: Signal, pitch: int, periods: int) -> Signal:
    """The last pitch periods of `before`. Their end is blended with what precedes them, so that repeats join."""
    overlap, size = pitch // 4, pitch * periods
    loop = before[-size:].copy()
    loop[-overlap:] = _cross_fade(loop[-overlap:], before[-size - overlap : -size])
    return loop


def _cross_fade(ending: Signal, beginning: Signal | Samples) -> Signal:
    ramp = _ramp(len(ending))
    return ending * (1 - ramp) + beginning * ramp


@functools.cache
def _ramp(size: int) -> Signal:
    """A ramp of `size` factors, from 1/size to 1 in steps of 1/size."""
    ramp: Signal = np.arange(1, size + 1) / size
    return ramp


def _round(signal: Signal) -> Samples:
    """The 16-bit samples nearest to a signal that a cross-fade may have raised above full scale."""
    return np.minimum(np.maximum(np.rint(signal), -32768), 32767).astype(np.int16)
