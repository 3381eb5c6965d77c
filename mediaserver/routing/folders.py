"""The folders that a configuration writes into, tried out before a call needs them."""

import os
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from mediaserver.errors import one_line, plainly
from mediaserver.routing.configuration import Configuration


def unwritable(configuration: Configuration) -> list[str]:
    """A line for each folder that is to be written and cannot be, with its key. Blocks."""
    return [
        one_line(f"{key}: {folder} {why}") for key, folder in _folders(configuration) if (why := why_not(folder))
    ]


def why_not(folder: Path) -> str:
    """Why no file can be made in a folder, or the folder not be made; "" where it can. Nothing is left there."""
    try:
        missing = list(takewhile(lambda each: not os.path.lexists(each), (folder, *folder.parents)))
        if missing:
            missing[-1].mkdir()
            missing[-1].rmdir()
        else:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except (OSError, ValueError) as error:  # ValueError: no path by its characters
        return f"cannot be written: {plainly(error)}"
    return ""


def _folders(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    settings, where = configuration.settings, configuration.where
    for route in configuration.table:
        with route.as_far_as_known() as handler:
            by = settings.source(where, ("paths", route.pattern, "directory"))
            yield from ((f'{by}: paths."{route.pattern}": directory', folder) for folder in handler.folders())
    cache = settings.prompts.cache_directory
    if cache is not None and settings.prompts.cache != "auto":  # auto may as well be nowhere
        yield f"{settings.source(where, ('prompts', 'cache'))}: prompts.cache", cache
