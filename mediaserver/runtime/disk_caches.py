"""The caches on disk, of decoded prompts and of spoken sentences: where they are, and whether they can be used."""

from pathlib import Path

import structlog

from mediaserver.config.settings import PromptSettings, Settings
from mediaserver.errors import error_text
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.routing.configuration import prompt_cache_problems
from mediaserver.support.store import Store

MEGABYTE = 1_000_000

log = structlog.get_logger()


def open_library(settings: Settings, *, make_store: bool = True) -> PromptLibrary:
    """The prompt library of a configuration, not yet loaded, with its cache on disk.

    Without `make_store` the cache is only used where its folder exists already.
    """
    prompts = settings.prompts
    store = _sound_cache_folder(prompts, make=make_store)
    pool = DecodePool(store, prompts.cache_limit * MEGABYTE, prompts.longest, prompts.pcm)
    return PromptLibrary(prompts.directory, prompts.memory_limit * MEGABYTE, pool)


def speech_cache_folder(prompts: PromptSettings) -> Path | None:
    """The folder for spoken sentences, made when TTS stores the first one; None where there is no cache."""
    folder = None if prompt_cache_problems(prompts, "") else prompts.cache_directory
    return folder / "speech" if folder is not None else None


def _sound_cache_folder(prompts: PromptSettings, *, make: bool) -> Path | None:
    """The folder for decoded prompts; None where there is to be no cache, or where it cannot be written; that is
    logged.
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
        "decoded prompts are not kept on disk: every start decodes them anew",
        key="prompts.cache",
        folder=str(folder or prompts.cache),
        why=why,
    )
    return None
