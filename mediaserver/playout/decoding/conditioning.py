"""Conditions a decoded prompt: removes its DC offset, cuts off silence at both ends, and sets its level."""

from collections.abc import Callable
from typing import NamedTuple

from mediaserver.audio.level import edges, levelling
from mediaserver.audio.level.active_level import active_level
from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.audio.pcm import FULL_SCALE, Samples
from mediaserver.playout.decoding.options import Conditioning

MOST_GAIN = 30.0  # the most dB by which a sound is amplified: a nearly silent recording stays soft
NEARLY = 0.05  # dB by which a level may miss its target without a warning


class ConditionedSound(NamedTuple):
    """A prompt's samples as callers hear them, the changes that were made, and warnings about the prompt."""

    samples: Samples
    offset: int = 0  # the DC offset that was subtracted, in units of the 16-bit samples
    gain: float = 0.0  # dB by which the level was changed
    warnings: tuple[str, ...] = ()  # warnings, each to be shown after the file's name


def condition(samples: Samples, how: Conditioning) -> ConditionedSound:
    """Condition decoded samples, of shape (n,). Samples that need no change are returned unchanged."""
    warnings: list[str] = []
    if offset := levelling.steady_offset(samples):
        samples = levelling.remove_offset(samples, offset)
        share = 100 * abs(offset) / FULL_SCALE
        warnings.append(f"has a DC offset of {share:.1f} % of full scale, which is removed")
    if how.trim_silence is not False:
        samples = edges.trim(samples, silence_threshold(how, lambda: active_level(samples)))
    gain = 0.0
    if how.loudness is not None:
        gain, warning = _gain_to(how.loudness, samples)
        samples = levelling.amplify(samples, gain)
        warnings += filter(None, [warning])
    return ConditionedSound(samples, offset, gain, tuple(warnings))


def silence_threshold(how: Conditioning, level: Callable[[], float]) -> float:
    """The level in dBov up to which sound counts as silence: the configured one, or else one below `level`.

    `level` returns the sound's own level in dBov. It is called only if needed, because measuring takes long.
    """
    return level() - edges.BELOW_LEVEL if isinstance(how.trim_silence, bool) else how.trim_silence


def _gain_to(loudness: float, samples: Samples) -> tuple[float, str]:
    """The gain in dB that brings samples to a level, as far as limits allow; a warning if they do not, or ""."""
    level = active_level(samples)
    if level == SILENCE_DB:
        warning = "is not levelled: it is too short, too soft or too sparse to have a speech level"
        return 0.0, warning if samples.any() else ""
    headroom = levelling.headroom_db(samples)
    gain = min(loudness - level, headroom, MOST_GAIN)
    missing = loudness - level - gain
    if missing <= NEARLY:
        return gain, ""
    peaks = "its peaks would clip otherwise"
    why = peaks if headroom <= MOST_GAIN else f"no prompt is amplified by more than {MOST_GAIN:g} dB"
    return gain, f"stays {missing:.1f} dB below prompts.loudness: {why}"
