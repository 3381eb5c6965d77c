"""Files that are being received, in a hidden folder of the prompt folder until they have been checked."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from mediaserver.audio.containers.signatures import HEAD_BYTES
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.prompts.editing.names import extension_of_sound

FOLDER = ".uploads"
_BLOCK = 1 << 18  # number of bytes that a thread writes to the file at a time
_ABANDONED = 3600.0  # seconds without a write after which an upload counts as abandoned


class Upload:
    """A file that is being received, of at most `limit` bytes.

    The file's name is random, so that two uploads for one prompt do not write to one file.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.path = folder / secrets.token_hex(12)
        self._limit, self._bytes, self._head, self._waiting = limit, 0, b"", bytearray()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("xb")

    async def feed(self, data: bytes) -> None:
        """Receive the next bytes. RefusedError 413 as soon as there are too many of them."""
        self._bytes += len(data)
        self.check_size(self._bytes)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        self._waiting += data
        if len(self._waiting) >= _BLOCK:
            await self._write()

    def check_size(self, size: int) -> None:
        """Raise RefusedError 413 if a file of `size` bytes is too large."""
        if size > self._limit:
            raise RefusedError(
                RefusalReason.TOO_LARGE, f"the file is larger than prompts.upload_limit, {self._limit} bytes"
            )

    async def finish(self, extension: str) -> Path:
        """Put the received file on the disk, under a name with this extension, and return its path.

        If `extension` is "", the file's first bytes decide it; RefusedError 422 if they do not tell the format.
        """
        await self._write()
        complete = self.path.with_suffix(extension or extension_of_sound(self._head))

        def close() -> None:
            self._file.flush()
            os.fsync(self._file.fileno())  # else a power cut could leave an empty prompt
            self._file.close()
            self.path.rename(complete)

        await asyncio.to_thread(close)
        self.path = complete
        return complete

    def discard(self) -> None:
        """Remove the file, unless it has become a prompt."""
        self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    async def _write(self) -> None:
        block, self._waiting = self._waiting, bytearray()
        await asyncio.to_thread(self._file.write, block)


class Uploads:
    """Receives files of at most `limit` bytes in a hidden folder of the prompt folder."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._folder, self._limit = directory / FOLDER, limit

    @contextlib.asynccontextmanager
    async def receive(self) -> AsyncIterator[Upload]:
        """Begin to receive a file.

        When the `with` block ends, the file is removed unless it has become a prompt.
        """
        upload = await asyncio.to_thread(Upload, self._folder, self._limit)
        try:
            yield upload
        finally:
            upload.discard()

    def remove_abandoned(self) -> None:
        """Remove the files that a server left behind when it crashed. The method blocks.

        Files that were written to within the last hour stay: another server that shares the folder may be
        receiving them.
        """
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()
