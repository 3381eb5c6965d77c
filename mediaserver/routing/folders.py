"""Tests, before a call needs them, whether the folders into which handlers and caches write can be written."""

import functools
import os
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from mediaserver.errors import error_text, single_line
from mediaserver.routing.configuration import Configuration


def unwritable_folders(configuration: Configuration) -> list[str]:
    """One line for each configured folder that cannot be written, with the setting's key. The function blocks."""
    why = functools.cache(why_unwritable)  # many paths may write into one folder
    return [
        single_line(f"{key}: {folder} {why(folder)}") for key, folder in _folders(configuration) if why(folder)
    ]


def why_unwritable(folder: Path) -> str:
    """Why no file can be made in a folder, or why a missing folder cannot be made; "" if there is no obstacle.

    The test makes a file or a folder, and removes it again. The function blocks.
    """
    try:
        missing = list(takewhile(lambda each: not os.path.lexists(each), (folder, *folder.parents)))
        if missing:
            missing[-1].mkdir()
            missing[-1].rmdir()
        else:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except (OSError, ValueError) as error:  # ValueError: file paths cannot have such a character
        return f"cannot be written: {error_text(error)}"
    return ""


def _folders(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    settings, where = configuration.settings, configuration.where
    for route in configuration.table:
        with route.known_handler() as handler:
            by = settings.source(where, ("paths", route.pattern, "directory"))
            yield from ((f'{by}: paths."{route.pattern}": directory', folder) for folder in handler.folders())
    if settings.prompts.editable:
        directory = settings.source(where, ("prompts", "directory"))
        yield f"{directory}: prompts.directory, which prompts.editable changes", settings.prompts.directory
    if settings.admin.recordings:
        yield (
            f"{settings.source(where, ('admin', 'recordings'))}: admin.recordings",
            Path(settings.admin.recordings),
        )
    cache = settings.prompts.cache_directory
    # With `prompts.cache = "auto"`, the server works without a cache if the folder cannot be written.
    if cache is not None and settings.prompts.cache != "auto":
        yield f"{settings.source(where, ('prompts', 'cache'))}: prompts.cache", cache
