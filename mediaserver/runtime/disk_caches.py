"""Finds the folders of the two caches on disk, for decoded prompts and for sentences spoken by TTS."""

from pathlib import Path

import structlog

from mediaserver.config.settings import PromptSettings, Settings
from mediaserver.errors import error_text
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.routing.configuration import prompt_cache_problems
from mediaserver.support.store import Store

MEGABYTE = 1_000_000  # the number of bytes in one megabyte in the settings

log = structlog.get_logger()


def open_library(settings: Settings, *, make_store: bool = True) -> PromptLibrary:
    """Make a configuration's prompt library with its cache on disk. No prompt is loaded yet.

    If `make_store` is False, the cache is used only if its folder exists already.
    """
    prompts = settings.prompts
    store = _sound_cache_folder(prompts, make=make_store)
    conditioning = Conditioning(prompts.level, prompts.trim_silence)
    pool = DecodePool(store, prompts.cache_limit * MEGABYTE, prompts.longest, prompts.pcm, conditioning)
    return PromptLibrary(prompts.directory, prompts.memory_limit * MEGABYTE, pool)


def speech_cache_folder(prompts: PromptSettings) -> Path | None:
    """The folder of the TTS cache, which is made when the first sentence is spoken; None if caching is off."""
    folder = None if prompt_cache_problems(prompts, "") else prompts.cache_directory
    return folder / "speech" if folder is not None else None


def _sound_cache_folder(prompts: PromptSettings, *, make: bool) -> Path | None:
    """The folder in which decoded prompts are cached; None if caching is off.

    If the folder cannot be written, a warning is logged, and the result is None.
    """
    if prompts.cache == "off" or prompt_cache_problems(prompts, ""):
        return None
    folder, why = prompts.cache_directory, "there is no home directory"
    if folder is not None:
        store = folder / "sounds"
        try:
            if not make and not store.is_dir():
                return None
            Store(str(store), 0).open()
            return store
        except OSError as error:
            why = error_text(error)
    log.warning(
        "prompt cache unavailable",
        key="prompts.cache",
        folder=str(folder or prompts.cache),
        why=why,
    )
    return None
