"""Measures a prompt for `mediaserver check`: its file at the file's own rate, and what callers hear of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mediaserver.audio.level import edges
from mediaserver.audio.level.active_level import active_level
from mediaserver.audio.level.defects import SourceMeter
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_RATE, Samples
from mediaserver.playout.decoding.conditioning import condition, silence_threshold
from mediaserver.playout.decoding.decode import PcmKind, decode
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.resampling import metered

_COLUMNS = 240  # number of time slices into which a sound is cut for its waveform
_SLOPE = SAMPLE_RATE // 50  # number of samples (20 ms) at each end of a sound in which the largest step is sought


class Measurement(NamedTuple):
    """The figures measured of a prompt.

    Level, gain, silence, first and last sample, slope and waveform are those of the sound that callers hear. All
    other fields are measured in the file as it is, before it is conditioned.
    """

    level: float  # active speech level in dBov (ITU-T P.56); SILENCE_DB if there is none
    gain: float  # dB by which `prompts.loudness` has changed the level
    offset: float  # the DC offset of the file, as a share of full scale
    offset_removed: bool  # whether the DC offset is removed for callers
    clipped_runs: int  # the number of peaks that are cut off at full scale
    out_of_band: float  # the share of the sound's energy outside of 300 to 3400 Hz
    silence_before: float  # seconds of silence before the sound
    silence_after: float  # seconds of silence after the sound
    first: float  # the first sample of the sound, where ±1.0 is full scale
    last: float  # the last sample of the sound, where ±1.0 is full scale
    slope: float  # the largest step from a sample to the next within 20 ms of the ends, as a share of full scale
    waveform: Sequence[tuple[int, int]]  # lowest and highest sample of each time slice, in percent of full scale


def measure(path: Path, file: BinaryIO, longest: float, pcm: PcmKind, conditioning: Conditioning) -> Measurement:
    """Decode a prompt's file and measure it. PromptError if the file cannot be played."""
    meter = SourceMeter()
    decoded = decode(path, file, longest, pcm, None, metered(meter))
    samples = np.frombuffer(decoded.pcm, dtype="<i2")
    if not meter.samples:  # the meter measures while sound is resampled, but a file at 8 kHz is not resampled
        for at in range(0, len(samples), SAMPLE_RATE):
            meter.feed(samples[at : at + SAMPLE_RATE] / FULL_SCALE, SAMPLE_RATE)
    meter.finish()
    heard = condition(samples, conditioning)
    level = active_level(heard.samples)
    before, after = edges.silence_at_edges(heard.samples, silence_threshold(conditioning, lambda: level))
    ends = heard.samples[[0, -1]] / FULL_SCALE if len(samples) else np.zeros(2)
    return Measurement(
        level,
        heard.gain,
        meter.offset,
        bool(heard.offset),
        meter.clipped_runs,
        meter.out_of_band,
        before / SAMPLE_RATE,
        after / SAMPLE_RATE,
        float(ends[0]),
        float(ends[1]),
        _slope(heard.samples),
        _waveform(heard.samples),
    )


def _slope(samples: Samples) -> float:
    ends = (samples[:_SLOPE].astype(np.int32), samples[-_SLOPE:].astype(np.int32))
    return max(float(np.abs(np.diff(end)).max(initial=0)) for end in ends) / FULL_SCALE


def _waveform(samples: Samples) -> list[tuple[int, int]]:
    parts = np.array_split(samples, min(_COLUMNS, len(samples))) if len(samples) else []
    return [(_percent(part.min()), _percent(part.max())) for part in parts]


def _percent(sample: np.int16) -> int:
    return round(100 * float(sample) / FULL_SCALE)
