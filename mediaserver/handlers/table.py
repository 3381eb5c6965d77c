"""The table of all built-in handlers, by the names that a configuration uses for them."""

from pathlib import Path
from typing import cast

from mediaserver.errors import did_you_mean
from mediaserver.handlers.analyse import Analyse
from mediaserver.handlers.assistant import Assistant
from mediaserver.handlers.base import Handler
from mediaserver.handlers.bridge import Bridge
from mediaserver.handlers.common import user_handlers, user_modules
from mediaserver.handlers.echo import Echo
from mediaserver.handlers.hold_music import HoldMusic
from mediaserver.handlers.menu.handler import MenuHandler
from mediaserver.handlers.noise import Noise, Silence
from mediaserver.handlers.playback import Playback
from mediaserver.handlers.recognise import Recognise
from mediaserver.handlers.record import Record
from mediaserver.handlers.say import Say
from mediaserver.handlers.tone import Tone

HANDLERS: dict[str, type[Handler]] = {
    "playback": Playback,
    "say": Say,
    "hold-music": HoldMusic,
    "tone": Tone,
    "silence": Silence,
    "noise": Noise,
    "record": Record,
    "echo": Echo,
    "menu": MenuHandler,
    "analyse": Analyse,
    "bridge": Bridge,
    "recognise": Recognise,
    "assistant": Assistant,
}


def resolve_handler(name: str) -> type[Handler]:
    """The class of the handler called `name`: a built-in handler, or a user's class as `package.module:Class`.

    ValueError if no such handler exists.
    """
    if name in HANDLERS:
        return HANDLERS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        near = did_you_mean(name, HANDLERS) or _with_colon(name)
        raise ValueError(f'no handler "{name}"{near}: {", ".join(HANDLERS)}, or module:Class')
    try:
        if "/" in module:
            raise ImportError("a module is named as Python imports it, not by its file")
        imported = user_modules.load_module(module)
        found = getattr(imported, attribute, None)
    except Exception as error:  # a user's module may raise anything while it is imported
        near = _without_file_name(module, attribute)
        why = f"{user_handlers.describe_failure(error)}{_looked_in(module, error)}"
        raise ValueError(f'handler "{name}" cannot be imported{near}: {why}') from error
    if found is None:
        near = did_you_mean(attribute, user_handlers.class_names(imported))
        raise ValueError(f'handler "{name}": {module} has no class "{attribute}"{near}')
    if wrong := user_handlers.class_problem(found):
        raise ValueError(f'handler "{name}" {wrong}')
    return cast("type[Handler]", found)


def _with_colon(name: str) -> str:
    """A hint for a class that is named with a dot, as Python does, in place of the colon; "" without a dot."""
    module, dot, attribute = name.rpartition(".")
    return f' (did you mean "{module}:{attribute}"?)' if dot and module and attribute else ""


def _without_file_name(module: str, attribute: str) -> str:
    """A hint for a module that is named by its file, such as ./lib/greeting.py; "" for any other module."""
    parts = [part for part in module.removesuffix(".py").split("/") if part not in ("", ".")]
    meant = ".".join(parts)
    return f' (did you mean "{meant}:{attribute}"?)' if meant != module else ""


def _looked_in(module: str, error: Exception) -> str:
    """A note in brackets that says where a missing handler module was searched for; "" for any other `error`."""
    if not isinstance(error, ModuleNotFoundError) or error.name != module.partition(".")[0]:
        return ""
    try:
        folder = f"{Path.cwd()}, the working directory,"
    except OSError:  # an OSError means that the working directory was removed
        folder = "the working directory"
    return f" (looked in {folder} and on PYTHONPATH)"
