"""Watches the prompt folder, and loads what changes in it.

A change is only ever found by scanning the folder. Change events of the system make the next scan come soon,
and polling makes it certain: not all file systems have events, and no event tells that another folder has taken
the place of the watched one.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from mediaserver.config.settings import PromptSettings
from mediaserver.errors import error_text
from mediaserver.playout.prompts.file_system_events import ChangeEvents
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.wire.encapsulation import Encoding

log = structlog.get_logger()


async def watch_prompts(
    library: PromptLibrary,
    encodings: Callable[[], Sequence[Encoding]],
    settings: PromptSettings,
    on_reload: Callable[[ReloadResult], None],
) -> None:
    """Refresh a library again and again until cancelled; `on_reload` is called where a refresh changed something.

    `encodings` returns those in which new prompts are encoded at once. Returns immediately where `watch` is "off".
    """
    if settings.watch == "off":
        return
    events, last_error = ChangeEvents(library.directory, settings.watch), ""
    try:
        while True:
            try:
                result = await library.refresh(encodings(), settings.settle)
                if result is not None:
                    on_reload(result)
                await events.listen_to(library.folder)
                last_error = ""
            except Exception as error:  # whatever the error is, the next refresh may succeed
                if repr(error) != last_error:  # an error that repeats is logged once
                    log.exception(
                        "the prompt folder cannot be scanned", folder=str(library.directory), why=error_text(error)
                    )
                last_error = repr(error)
            await _wait_for_next_scan(library, settings, events)
    finally:
        await events.close()


async def _wait_for_next_scan(library: PromptLibrary, settings: PromptSettings, events: ChangeEvents) -> None:
    if not events.listening:
        # A remote file's `stat` may be cached for seconds, so that an earlier scan would find nothing.
        await asyncio.sleep(settings.poll_interval)
        return
    await asyncio.sleep(settings.settle)
    if not library.has_unsettled_changes:
        await events.wait_for_change(settings.poll_interval)
