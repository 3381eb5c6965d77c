"""Measures each prompt for `mediaserver check`: its sound as it is, in routes' loops, and at routes' gains."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.conditioning import NEARLY
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.routing.route import Route

# The thresholds of warnings about loops, which docs/flow-builders/prompts.md repeats. A loop clicks if the step
# from its last sample to its first exceeds both this fraction of full scale and this multiple of the steps nearby.
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
    """The largest step from each looped prompt's last sample to the next prompt's first sample, by prompt name.

    A step is a fraction of full scale, and comes with True if it is heard as a click. The last prompt of a loop is
    followed by the first.
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
    """Yield the prompt names of each loop of a route: the loop of its handler, and that of its background."""
    with route.known_handler() as handler:
        played = snapshot.view(language=handler.prompt_language)
        for names in (handler.looped_prompts(), filter(None, [handler.background])):
            yield [prompt.name for prompt in _matching(names, played) if prompt.samples]


def _matching(names: Iterable[str], snapshot: PromptSnapshot) -> list[Prompt | AmplifiedPrompt]:
    """The prompts that names and globs match. Missing prompts, and names with a variable, are left out."""
    matching: list[Prompt | AmplifiedPrompt] = []
    for name in names:
        with contextlib.suppress(PromptError):
            matching += snapshot.match([name])
    return matching
