"""Watches the prompt folder, and loads the files that change in it.

Changes are always found by scanning the folder. An event of the operating system only makes the next scan start
soon. The folder is also scanned regularly, because not all file systems have events, and because no event reports
that another folder has taken the place of the watched one.
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
    """Refresh a prompt library again and again until cancelled; call `on_reload` with each refresh's changes.

    `encodings` returns the encodings in which new prompts are encoded at once. The function returns immediately if
    the setting `watch` is "off".
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
            except Exception as error:  # go on after any error, because the next refresh may succeed
                if repr(error) != last_error:  # log an error only once while it repeats
                    log.exception("prompt scan failed", folder=str(library.directory), why=error_text(error))
                last_error = repr(error)
            await _wait_for_next_scan(library, settings, events)
    finally:
        await events.close()


async def _wait_for_next_scan(library: PromptLibrary, settings: PromptSettings, events: ChangeEvents) -> None:
    if not events.listening:
        # Wait for the whole interval: a remote file's `stat` may be cached for seconds, so that a scan made
        # earlier would find no change.
        await asyncio.sleep(settings.poll_interval)
        return
    await asyncio.sleep(settings.settle)
    if not library.has_unsettled_changes:
        await events.wait_for_change(settings.poll_interval)
