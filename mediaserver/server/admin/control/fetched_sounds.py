"""Sounds that requests name by a URL: downloaded, and decoded in a process of their own as prompts are."""

import asyncio
import os
import tempfile
from pathlib import Path, PurePosixPath

from yarl import URL

from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.encoded_frames import SoundFile
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.control.download import Downloader

_PLAIN = ".wav"  # the extension of files whose URLs have none of ours; most formats are found by their content


class FetchedSounds:
    """Makes sounds of URLs, by the settings of an engine that are in force."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._downloader = Downloader()

    async def fetch(self, url: str) -> SoundFile:
        """The sound at a URL.

        RefusedError: 403 where no entry of `admin.play_from` has the URL, 502 where no file comes in time or it is
        too large, 422 where it cannot be played.
        """
        settings = self._engine.settings.admin
        data = await self._downloader.download(url, settings.play_from, settings.play_from_networks)
        file = await asyncio.to_thread(_write, data, _extension(url))
        try:
            return await self._engine.library.decode(file)
        except PromptError as error:
            why = str(error).replace(f"{file} ", "").replace(file.name, "the file")
            raise RefusedError(RefusalReason.UNPLAYABLE, f"{URL(url).host}: the file {why}") from error
        finally:
            await asyncio.to_thread(file.unlink)


def _extension(url: str) -> str:
    extension = PurePosixPath(URL(url).path).suffix.lower()
    return extension if extension in EXTENSIONS else _PLAIN


def _write(data: bytes, extension: str) -> Path:
    """Write a new temporary file that only our user can read. Blocking."""
    number, name = tempfile.mkstemp(extension, "mediaserver-")
    with os.fdopen(number, "wb") as file:
        file.write(data)
    return Path(name)
