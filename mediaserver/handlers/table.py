"""The table of all built-in handlers, by the names that a configuration uses for them."""

import inspect
from pathlib import Path

from mediaserver.errors import did_you_mean
from mediaserver.handlers.analyse import Analyse
from mediaserver.handlers.assistant import Assistant
from mediaserver.handlers.base import Handler
from mediaserver.handlers.bridge import Bridge
from mediaserver.handlers.common import user_modules
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
        raise ValueError(
            f'no handler "{name}"{did_you_mean(name, HANDLERS)}: {", ".join(HANDLERS)}, or module:Class'
        )
    try:
        found = getattr(user_modules.load_module(module), attribute)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise ValueError(
            f'handler "{name}" cannot be imported: {type(error).__name__}: {error}{_looked_in(module, error)}'
        ) from error
    if not (isinstance(found, type) and issubclass(found, Handler)):
        raise ValueError(f'handler "{name}" is not a subclass of mediaserver.handlers.Handler')
    if inspect.isabstract(found):
        raise ValueError(f'handler "{name}" has no method run(self, call)')
    if not inspect.iscoroutinefunction(found.run):
        raise ValueError(f'handler "{name}" has a method run that is not async: begin it with async def run')
    return found


def _looked_in(module: str, error: Exception) -> str:
    """A note in brackets that says where a missing handler module was searched for; "" for any other `error`."""
    if not isinstance(error, ModuleNotFoundError) or error.name != module.partition(".")[0]:
        return ""
    try:
        folder = f"{Path.cwd()}, the working directory,"
    except OSError:  # an OSError means that the working directory was removed
        folder = "the working directory"
    return f" (looked in {folder} and on PYTHONPATH)"
