"""Lists what routes need before calls are served: prompts, speech engines, secrets and encodings."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import SecretStr

from mediaserver.config.error_messages import KeyPath, format_key
from mediaserver.config.settings import Settings
from mediaserver.errors import PromptError
from mediaserver.handlers import table as handler_table
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.routing.filling import VARIABLE
from mediaserver.routing.route import LANGUAGE, Route
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.support.credentials import secret_fields
from mediaserver.wire.encapsulation import Encoding, first_encoding


def handler_secrets(settings: Settings) -> Iterator[SecretStr]:
    """Yield the settings of paths' handlers that hold a secret, or name a secret's place (`env:`, `file:`)."""
    for path in settings.paths.values():
        with contextlib.suppress(ValueError):  # `build_routes` reports handlers that are unknown
            yield from secret_fields(handler_table.resolve_handler(path.handler), path.handler_settings).values()


def missing_prompts(routes: Iterable[Route], snapshot: PromptSnapshot, where: str) -> list[str]:
    """One line for each prompt that routes name and the snapshot lacks in the route's language.

    Names with a `{variable}` are left out. If the language has a `{variable}`, only prompts without a variant in
    any language count as lacking.
    """
    found = []
    for route in routes:
        any_language = VARIABLE.search(str(route.settings.get(LANGUAGE, ""))) is not None
        known = {base for _, base in snapshot.language_variants} if any_language else ()
        with route.known_handler() as handler:
            place = f'{route.source or where}: paths."{route.pattern}"'
            for name in dict.fromkeys(handler.needed_prompts):
                if not VARIABLE.search(name) and name not in known:
                    key = next(_keys_with(name, route.settings), "")
                    found += [
                        f"{place}: {key}{problem}" for problem in handler.missing_prompts(snapshot, name.__eq__)
                    ]
    return found


def _keys_with(prompt: str, value: Any, place: KeyPath = ()) -> Iterator[str]:
    """Yield, for each settings key whose value is this prompt, the beginning of a message: `menus.main.play: `.

    The beginning is "" for the keys `prompt` and `prompts`.
    """
    if place and value == prompt:
        yield "" if place[0] in ("prompt", "prompts") else f"{format_key(place)}: "
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _keys_with(prompt, each, (*place, key))


def required_engines(routes: Iterable[Route]) -> set[EngineRequirement]:
    """The TTS, STT and LLM engines that routes need.

    If the name of a voice has a `{variable}`, the voice is not known yet, and "" stands for it.
    """
    found: set[EngineRequirement] = set()
    for route in routes:
        with route.known_handler() as handler:
            found |= {
                need._replace(voice="") if VARIABLE.search(need.voice) else need for need in handler.engines()
            }
    return found


def first_encodings(routes: Iterable[Route]) -> Sequence[Encoding]:
    """The encodings in which callers of these routes get audio, unless a caller's URL asks for another one.

    On a route with a background, sound is mixed in linear samples, so a linear encoding is needed as well.
    """
    found: dict[str, Encoding] = {}
    for route in routes:
        encoding = first_encoding(route.wire)
        mixed = [Background.source_encoding(encoding)] if route.settings.get("background") else []
        found |= {each.name: each for each in (encoding, *mixed)}
    return list(found.values())


def backgrounds(routes: Iterable[Route], snapshot: PromptSnapshot) -> Iterator[tuple[LevelledPrompt, Encoding]]:
    """Yield the background of each route with the encoding in which callers first get it.

    Backgrounds that are missing, or whose names have a `{variable}`, are left out.
    """
    for route in routes:
        with contextlib.suppress(PromptError), route.known_handler() as handler:
            if handler.background is not None:
                prompt = snapshot.view(language=handler.prompt_language).find(handler.background)
                yield LevelledPrompt(prompt, handler.background_level), first_encoding(route.wire)
