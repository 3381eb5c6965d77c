"""Finds mistakes in users' own handlers before a call does: in the class, and in what it says that it needs.

Users' code may raise anything. Each mistake becomes one line, as mistakes of the configuration do.
"""

import inspect
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticUndefinedAnnotation

from mediaserver.config.settings import PathSettings
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.handlers.common import user_modules
from mediaserver.speech.engines.requirements import EngineRequirement

# The methods by which a handler says what it needs, and the types of the entries that each of them lists.
_LISTING: dict[str, tuple[type, str]] = {
    "prompt_names": (str, "names of prompts"),
    "looped_prompts": (str, "names of prompts"),
    "engines": (EngineRequirement, "EngineRequirement"),
    "folders": (Path, "Path"),
    "flow_needs": (str, "keys of settings"),
}


def class_names(module: ModuleType) -> list[str]:
    """The names of the handlers' classes in a module of a user's."""
    return [name for name, found in vars(module).items() if isinstance(found, type) and issubclass(found, Handler)]


def class_problem(found: Any) -> str:
    """What is wrong with an object that should be a handler's class, to follow its name; "" if nothing is."""
    if not (isinstance(found, type) and issubclass(found, Handler)):
        return "is not a subclass of mediaserver.handlers.Handler"
    if inspect.isabstract(found):
        return "has no method run(self, call)"
    try:
        found.model_rebuild()
    except PydanticUndefinedAnnotation as error:  # of a name that is imported later, or for type checkers alone
        return f"has a field of a type that is not known when the class is made: {error.name}"
    if not inspect.iscoroutinefunction(found.run):
        return "has a method run that is not async: begin it with async def run"
    try:
        inspect.signature(found.run).bind(None, None)
    except TypeError:
        return "has a method run that cannot be called with a call: begin it with async def run(self, call)"
    return next(filter(None, (_taken_name(found, name) for name in found.model_fields)), "")


def _taken_name(found: type[Handler], name: str) -> str:
    """Why a class may not have a field of this name; "" if it may."""
    if name in PathSettings.model_fields:
        return f'has a field "{name}", which is a setting of every path: give it another name'
    for base in (Handler, PlaybackSettings):
        given: type[BaseModel] = base
        field = given.model_fields.get(name) if issubclass(found, base) else None
        # A class may change the default, but not what the setting holds, because the server reads it.
        if field is not None and field.annotation != found.model_fields[name].annotation:
            owner = "every handler" if base is Handler else base.__name__
            return f'has a field "{name}", which is a setting of {owner}: give it another name'
    return ""


def needs_problems(handler: Handler) -> list[str]:
    """One line for each method of a user's handler that fails, or does not list what it should."""
    problems = []
    for method, (kind, entries) in _LISTING.items():
        try:
            listed = getattr(handler, method)()
            wrong = _wrong_part(listed, kind)
        except Exception as error:
            problems.append(f"{method}() fails: {describe_failure(error)}")
            continue
        if wrong:
            problems.append(f"{method}() should return a list of {entries}: it {wrong}")
    return problems


def _wrong_part(listed: Any, kind: type) -> str:
    if isinstance(listed, str):  # iterating over it would yield its letters
        return f"returns {listed!r}"
    if not hasattr(type(listed), "__iter__"):
        return f"returns {listed!r}"
    return next((f"has {entry!r}" for entry in listed if not isinstance(entry, kind)), "")


def describe_failure(error: Exception) -> str:
    """An exception of a user's code in one line: its type, its text, and the line of code that raised it."""
    described = f"{type(error).__name__}: {error}"
    frames = [
        each for each in traceback.extract_tb(error.__traceback__) if user_modules.is_editable(each.filename)
    ]
    if not frames or isinstance(error, SyntaxError):  # the text of a SyntaxError has the line of the mistake
        return described
    return f"{described} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
