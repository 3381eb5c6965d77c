"""Keeps a prompt library as its folder is.

What is new is only ever found by looking at the folder again. Notices of the system make that prompt, and polls
make it sure: not all file systems have notices, and none has them of a folder put in another's place.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from mediaserver.config.settings import PromptSettings
from mediaserver.errors import plainly
from mediaserver.playout.prompts.change_events import Notices
from mediaserver.playout.prompts.library import PromptLibrary, Reloaded
from mediaserver.wire.encapsulation import Encoding

log = structlog.get_logger()


async def watch(
    library: PromptLibrary,
    encodings: Callable[[], Sequence[Encoding]],
    settings: PromptSettings,
    told: Callable[[Reloaded], None],
) -> None:
    """Look again and again until cancelled, and tell what came of it where there was something new.

    `encodings` are those that new prompts are made ready in. Returns at once where `watch` is "off".
    """
    if settings.watch == "off":
        return
    notices, trouble = Notices(library.directory, settings.watch), ""
    try:
        while True:
            try:
                reloaded = await library.refresh(encodings(), settings.settle)
                if reloaded is not None:
                    told(reloaded)
                await notices.follow(library.folder)
                trouble = ""
            except Exception as error:  # whatever it is, the next look may do better
                if repr(error) != trouble:  # and this one's words are not said again at each
                    log.exception("cannot look at the prompts", folder=str(library.directory), why=plainly(error))
                trouble = repr(error)
            await _pause(library, settings, notices)
    finally:
        await notices.close()


async def _pause(library: PromptLibrary, settings: PromptSettings, notices: Notices) -> None:
    """Wait until it is time to look again."""
    if not notices.live:  # a remote file's state may be seconds old: a second look at once would see nothing new
        await asyncio.sleep(settings.poll_interval)
        return
    await asyncio.sleep(settings.settle)
    if not library.unsettled:
        await notices.wait(settings.poll_interval)
