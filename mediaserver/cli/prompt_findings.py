"""Measures each prompt's sound for `mediaserver check`, and warns of figures beyond a threshold."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from mediaserver.audio.level.levelling import OFFSET_THRESHOLD, SHORTEST
from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.conditioning import NEARLY
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.routing.route import Route

# The thresholds of warnings. docs/flow-builders/prompts.md repeats these figures.
SOFTEST, LOUDEST = -38.0, -14.0  # levels in dBov: 12 dB from -26, the usual level of telephone voices
LONGEST_BEFORE, LONGEST_AFTER = 0.5, 1.0  # seconds of silence at the beginning, and at the end
MOST_OUT_OF_BAND = 0.8  # share of a sound's energy outside of 300 to 3400 Hz; a deep voice may have 0.65
# A loop clicks if the step at its join exceeds both a share of full scale and a multiple of the steps nearby.
SMALLEST_CLICK, STEEPEST = 0.01, 3.0


async def measure_prompts(library: PromptLibrary) -> dict[str, Measurement]:
    """Measure the files of all prompts in the decoder processes. Returns the measurements by prompt name.

    Prompts whose files are gone by now are left out.
    """

    async def measure(prompt: Prompt) -> Measurement | None:
        try:
            return Measurement(**await library.pool.measure(prompt.path))
        except PromptError:
            return None

    prompts = library.prompts
    found = await asyncio.gather(*map(measure, prompts.values()))
    return {name: measured for name, measured in zip(prompts, found, strict=True) if measured is not None}


def loop_steps(
    routes: Iterable[Route], snapshot: PromptSnapshot, measured: Mapping[str, Measurement]
) -> dict[str, tuple[float, bool]]:
    """By name, for each prompt in a loop: the largest step from its last sample to the next prompt's first sample.

    A step is a share of full scale, with True if it is heard as a click. The last prompt of a loop is followed by
    the first.
    """
    steps: dict[str, tuple[float, bool]] = {}
    for loop in (each for route in routes for each in _loops(route, snapshot)):
        names = [name for name in loop if name in measured]
        for name, following in pairwise([*names, *names[:1]]):
            this, other = measured[name], measured[following]
            step = abs(other.first - this.last)
            clicks = step > SMALLEST_CLICK and step > STEEPEST * max(this.slope, other.slope)
            steps[name] = max(steps.get(name, (0.0, False)), (step, clicks))
    return steps


def limited_gains(route: Route, snapshot: PromptSnapshot) -> Iterator[str]:
    """Yield a sentence for each prompt of a route that is amplified by less than the route's gain."""
    with route.known_handler() as handler:
        played = snapshot.view(gain=handler.prompt_gain, language=handler.prompt_language)
        for prompt in _matching(handler.prompt_names(), played):
            if prompt.gain < handler.prompt_gain:
                yield f'prompt "{prompt.name}" gets {prompt.gain:.1f} dB only, or its peaks would clip'


def limited_backgrounds(
    route: Route, snapshot: PromptSnapshot, measured: Mapping[str, Measurement]
) -> Iterator[str]:
    """Yield a sentence if the background of a route cannot be brought to the route's `background_level`."""
    with contextlib.suppress(PromptError), route.known_handler() as handler:
        if handler.background is None:
            return
        prompt = snapshot.view(language=handler.prompt_language).find(handler.background)
        level = measured[prompt.name].level if prompt.name in measured else SILENCE_DB
        wanted = LevelledPrompt(prompt, handler.background_level)
        missing = wanted.level - level - wanted.amplified(level).gain
        if level > SILENCE_DB and missing > NEARLY:
            yield f'prompt "{prompt.name}" stays {missing:.1f} dB below it, or its peaks would clip'


def _loops(route: Route, snapshot: PromptSnapshot) -> Iterator[list[str]]:
    """Yield the names of the prompts of each loop of a route: that of its handler, and its background."""
    with route.known_handler() as handler:
        played = snapshot.view(language=handler.prompt_language)
        for names in (handler.looped_prompts(), filter(None, [handler.background])):
            yield [prompt.name for prompt in _matching(names, played) if prompt.samples]


def _matching(names: Iterable[str], snapshot: PromptSnapshot) -> list[Prompt | AmplifiedPrompt]:
    """The prompts that names and globs match, without those that are missing, or whose names have a variable."""
    matching: list[Prompt | AmplifiedPrompt] = []
    for name in names:
        with contextlib.suppress(PromptError):
            matching += snapshot.match([name])
    return matching


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
        warnings.append(f"has a mean of {share} of full scale, which is left in, as it does not last")
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
