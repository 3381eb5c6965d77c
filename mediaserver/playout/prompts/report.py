"""Describes a measured prompt: its figures, and a warning for each figure beyond a threshold."""

from typing import Any

from mediaserver.audio.level.levelling import OFFSET_THRESHOLD, SHORTEST
from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.prompts.prompt_store import Prompt

# The thresholds of warnings. docs/flow-builders/prompts.md repeats these figures.
SOFTEST, LOUDEST = -38.0, -14.0  # levels in dBov: 12 dB below and above -26, the usual level of telephone voices
LONGEST_BEFORE, LONGEST_AFTER = 0.5, 1.0  # the most seconds of silence at the beginning, and at the end
_MEASURABLE = SAMPLE_RATE * 4 // 10  # the fewest samples of which loudness is measured: a block of BS.1770
MOST_OUT_OF_BAND = 0.8  # largest share of a sound's energy outside of 300 to 3400 Hz; a deep voice may have 0.65


def describe_loudness(prompt: Prompt, gain: float = 0.0) -> str:
    """A text after a prompt's name if it is too soft or too loud when it is amplified by `gain` dB, "" if neither.

    This is by the loudness that decoding has measured, which differs from the speech level by some tenths of a dB.
    """
    loudness = prompt.info.loudness_lufs + prompt.amplified(gain).gain
    if prompt.samples < _MEASURABLE or prompt.info.loudness_lufs <= SILENCE_DB or SOFTEST <= loudness <= LOUDEST:
        return ""
    kind = "soft" if loudness < SOFTEST else "loud"
    return f"is {kind}: {loudness:.1f} LUFS, where telephone voices have -26"


def describe_prompt(
    prompt: Prompt, measured: Measurement | None, step: tuple[float, bool] | None, *, levelled: bool
) -> dict[str, Any]:
    """A prompt's entry in `check --json`. Figures that do not apply, or could not be measured, are None.

    `levelled` says whether `prompts.loudness` is set.
    """
    warnings = [*prompt.info.warnings]
    if measured is not None:
        warnings += _warnings(prompt, measured, step, levelled)
    has_level = measured is not None and measured.level > SILENCE_DB
    return prompt.describe() | {
        "level_dbov": round(measured.level, 1) if measured and has_level else None,
        "gain_db": round(measured.gain, 1) if measured else None,
        "dc_percent": round(100 * measured.offset, 1) + 0.0 if measured else None,
        "clipped_runs": measured.clipped_runs if measured else None,
        "silence_before_s": round(measured.silence_before, 2) if measured else None,
        "silence_after_s": round(measured.silence_after, 2) if measured else None,
        "out_of_band_percent": round(100 * measured.out_of_band, 1) if measured else None,
        "loop_step_percent": round(100 * step[0], 1) if step else None,
        "warnings": warnings,
    }


def _warnings(prompt: Prompt, measured: Measurement, step: tuple[float, bool] | None, levelled: bool) -> list[str]:
    """A warning for each figure beyond a threshold: a text to put after the name of the prompt's file.

    Decoding itself warns of a level that cannot be reached, and of a DC offset that it removes.
    """
    warnings = []
    if not levelled and measured.level > SILENCE_DB and not SOFTEST <= measured.level <= LOUDEST:
        kind = "soft" if measured.level < SOFTEST else "loud"
        level = f"{measured.level:.1f} dBov"
        warnings.append(f"is {kind}: {level}, where telephone voices have -26; prompts.loudness levels all")
    wanders = abs(measured.offset) > OFFSET_THRESHOLD and not measured.offset_removed
    if wanders and prompt.samples >= SHORTEST:
        share = f"{100 * abs(measured.offset):.1f} %"
        warnings.append(f"has a DC offset of {share} of full scale that varies, so it is not removed")
    if measured.clipped_runs:
        warnings.append(f"is clipped at {_places(measured.clipped_runs)}, which is heard as a crackle")
    if measured.silence_before > LONGEST_BEFORE:
        before = f"{measured.silence_before:.1f} s"
        warnings.append(f"begins with {before} of silence, which prompts.trim_silence cuts off")
    if measured.silence_after > LONGEST_AFTER:
        after = f"{measured.silence_after:.1f} s"
        warnings.append(f"ends with {after} of silence, which prompts.trim_silence cuts off")
    if measured.out_of_band > MOST_OUT_OF_BAND:
        share = f"{100 * measured.out_of_band:.0f} %"
        warnings.append(f"has {share} of its energy outside of 300 to 3400 Hz, so telephones carry little of it")
    if step is not None and step[1]:
        warnings.append(f"clicks where it is looped: its end and what follows are {100 * step[0]:.1f} % apart")
    return warnings


def _places(count: int) -> str:
    return "one place" if count == 1 else f"{count} places"
