"""Downloads the sounds that requests name by a URL, and decodes them in child processes, as prompts are."""

import asyncio
import os
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from yarl import URL

from mediaserver.config.listener_settings import AdminSettings
from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.encoded_frames import SoundFile
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.server.admin.control.download import Downloader

LONGEST = 600  # the most seconds of one sound
MEMORY_LIMIT = 200_000_000  # the most bytes of all sounds that play or are queued, on all streams together
_PLAIN = ".wav"  # the file's extension if its URL has none of a sound file; its content mostly tells the format


class FetchedSounds:
    """Downloads and decodes the sounds at URLs, by the settings in force at the time of the request.

    A sound has at most `LONGEST` seconds. The sounds that play or are queued, on all streams, have at most
    `memory_limit` bytes together.
    """

    def __init__(
        self, library: PromptLibrary, settings: Callable[[], AdminSettings], memory_limit: int = MEMORY_LIMIT
    ) -> None:
        self._library, self._settings, self._memory_limit = library, settings, memory_limit
        self._downloader = Downloader()
        self._bytes = 0  # bytes of memory of all sounds that play or are queued

    async def fetch_all(self, urls: Sequence[str]) -> Mapping[str, SoundFile]:
        """Download and decode the sounds at several URLs, at the same time.

        RefusedError as `fetch` raises it, for the first of the URLs that fails. Downloads that have begun are not
        broken off, so that each removes its temporary file.
        """
        found = await asyncio.gather(*map(self.fetch, urls), return_exceptions=True)
        failed = next((sound for sound in found if isinstance(sound, BaseException)), None)
        if failed is not None:
            try:
                raise failed
            finally:
                # The error refers to these variables by its traceback, and they refer to the error. Such a cycle
                # would keep the other sounds in memory, and count them, until a garbage collection.
                del failed, found
        sounds = zip(urls, found, strict=True)
        return {url: sound for url, sound in sounds if not isinstance(sound, BaseException)}

    async def fetch(self, url: str) -> SoundFile:
        """Download and decode the sound at a URL.

        RefusedError: 403 if the URL begins with no entry of `admin.play_from`, 502 if no file comes in time or it
        is too large, 422 if it cannot be played or is too long, 429 if sounds take up `memory_limit` already.
        """
        self._require_room(0)
        settings = self._settings()
        data = await self._downloader.download(url, settings.play_from, settings.play_from_networks)
        file = await asyncio.to_thread(_write, data, _extension(url))
        try:
            sound = await self._library.decode(file, LONGEST)
        except PromptError as error:
            why = str(error).replace(f"{file} ", "").replace(file.name, "the file")
            why = why.removesuffix(", or raise prompts.longest")
            raise RefusedError(RefusalReason.UNPLAYABLE, f"{URL(url).host}: the file {why}") from error
        finally:
            await asyncio.to_thread(file.unlink)
        self._count(sound)
        return sound

    def _count(self, sound: SoundFile) -> None:
        """Count a sound's memory while a stream holds the sound. RefusedError 429 beyond `memory_limit`."""
        size = sound.pcm.size
        self._require_room(size)
        self._bytes += size
        weakref.finalize(sound.pcm, self._release, size).atexit = False

    def _release(self, size: int) -> None:
        self._bytes -= size

    def _require_room(self, size: int) -> None:
        if self._bytes + size >= self._memory_limit:
            limit = f"{self._memory_limit // 1_000_000} MB"
            raise RefusedError(
                RefusalReason.SOUNDS_FULL,
                f"the sounds by URL that play or wait take all of {limit} already: try again later",
            )


def _extension(url: str) -> str:
    extension = PurePosixPath(URL(url).path).suffix.lower()
    return extension if extension in EXTENSIONS else _PLAIN


def _write(data: bytes, extension: str) -> Path:
    """Write a new temporary file that only our user can read. The function blocks."""
    number, name = tempfile.mkstemp(extension, "mediaserver-")
    with os.fdopen(number, "wb") as file:
        file.write(data)
    return Path(name)
