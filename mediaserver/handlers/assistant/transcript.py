"""A conversation on disk, a JSON document a line, written while nobody waits for it."""

import asyncio
from pathlib import Path
from typing import Any

from mediaserver.call import Call, DiskExecutor, FileModes
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common import files


class Transcript:
    """Lines for a file, or for none. A disk that fails costs what it would have kept, and is told of once."""

    def __init__(self, directory: Path, template: str | None, call: Call, modes: FileModes) -> None:
        self._directory, self._call, self._modes = directory, call, modes
        self._path = files.place(directory, template, call.stream) if template is not None else None
        self._lines: list[dict[str, Any]] = []
        self._disk = DiskExecutor()
        self._writing: asyncio.Task[None] | None = None
        self._failed = False

    def add(self, who: str, facts: dict[str, Any]) -> None:
        """One line more, written soon."""
        if self._path is None:
            return
        self._lines.append({"time": files.now(), "stream": self._call.stream.id, "who": who, **facts})
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Until it is all written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._write()

    async def _write(self) -> None:
        while self._lines and self._path is not None and not self._failed:
            lines, self._lines = self._lines, []
            try:
                await self._disk.run_blocking(files.append, self._directory, self._path, lines, self._modes)
            except OSError as error:
                self._failed = True
                files.tell_failure(self._call, EventKind.TRANSCRIPT_FAILED, self._path, error)
