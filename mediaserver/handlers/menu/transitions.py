"""Describes the flow of a menu handler for people: each menu, and where its keys lead. This module does no I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mediaserver.handlers.common.spoken_prompt import SpokenPrompt
from mediaserver.handlers.menu.plan import Menu, Step
from mediaserver.support.credentials import redact_url


@dataclass(frozen=True, slots=True)
class Transition:
    """One key of a menu, or an outcome such as a time-out, and a text that says what this key or outcome leads to.

    `next_menu` is the name of the menu that comes next; None if no menu does.
    """

    menu: str
    plays: str
    key: str
    leads_to: str
    next_menu: str | None


def list_transitions(menus: Any) -> list[Transition]:
    """All transitions of a handler's menus. `menus` has the menus by name. Invalid menus are left out."""
    known = menus if isinstance(menus, dict) else {}
    return [
        transition
        for name, menu in known.items()
        if isinstance(menu, Menu)
        for transition in _transitions(name, menu)
    ]


def _transitions(name: str, menu: Menu) -> Iterator[Transition]:
    for key, step in _steps(menu):
        yield Transition(name, _brief(menu.play), key, _leads_to(step), step.menu)


def _steps(menu: Menu) -> Iterator[tuple[str, Step]]:
    yield from menu.keys.items()
    if menu.collect is not None:
        yield f"{menu.collect.min} to {menu.collect.max} digits", menu.then or Step()
    for why in ("on_timeout", "on_invalid"):
        if why in menu.model_fields_set:
            yield why, getattr(menu, why)


def _leads_to(step: Step) -> str:
    parts = [f"play {_brief(step.play)}"] if step.play else []
    parts += [what for what in ("record", "collect") if getattr(step, what) is not None]
    parts += [f"menu {step.menu}"] if step.menu is not None else []
    parts += [f"webhook {redact_url(step.webhook)}"] if step.webhook is not None else []
    parts += ["hang up"] if step.hangup else []
    parts += [f"transfer to {step.transfer}"] if step.transfer is not None else []
    parts += [f"actions {', '.join(each['type'] for each in step.actions)}"] if step.actions else []
    return ", ".join(parts)


def _brief(prompt_items: Iterable[str | SpokenPrompt]) -> str:
    """What a menu plays, described in one line: prompts by their names, texts in quotes."""
    return " ".join(f'"{each.say}"' if isinstance(each, SpokenPrompt) else each for each in prompt_items)
