"""Tests whether the folders that a configuration writes into can be written, before a call needs them."""

import os
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from mediaserver.errors import error_text, single_line
from mediaserver.routing.configuration import Configuration


def unwritable_folders(configuration: Configuration) -> list[str]:
    """A line, with the key, for each configured folder that cannot be written. Blocks."""
    return [
        single_line(f"{key}: {folder} {why}")
        for key, folder in _folders(configuration)
        if (why := why_unwritable(folder))
    ]


def why_unwritable(folder: Path) -> str:
    """Why no file can be made in a folder, or why the folder cannot be made; "" where a file can be made.

    The file or folder made for the test is removed. Blocks.
    """
    try:
        missing = list(takewhile(lambda each: not os.path.lexists(each), (folder, *folder.parents)))
        if missing:
            missing[-1].mkdir()
            missing[-1].rmdir()
        else:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except (OSError, ValueError) as error:  # ValueError: a character that no path may have
        return f"cannot be written: {error_text(error)}"
    return ""


def _folders(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    settings, where = configuration.settings, configuration.where
    for route in configuration.table:
        with route.known_handler() as handler:
            by = settings.source(where, ("paths", route.pattern, "directory"))
            yield from ((f'{by}: paths."{route.pattern}": directory', folder) for folder in handler.folders())
    cache = settings.prompts.cache_directory
    if cache is not None and settings.prompts.cache != "auto":  # with auto, the server works without a cache
        yield f"{settings.source(where, ('prompts', 'cache'))}: prompts.cache", cache
