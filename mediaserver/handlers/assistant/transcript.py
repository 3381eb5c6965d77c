"""The transcript of a conversation: JSON lines in a file, written in the background."""

import asyncio
from pathlib import Path
from typing import Any

from mediaserver.call import Call, FileModes
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common import files


class ConversationTranscript:
    """Appends JSON lines to a file. Lines are dropped if no file is set, and after a failure of the disk."""

    def __init__(self, directory: Path, template: str | None, call: Call, modes: FileModes) -> None:
        self._directory, self._call, self._modes = directory, call, modes
        self._path = files.expand_template(directory, template, call.stream) if template is not None else None
        self._writer = files.CallFileWriter(call, EventKind.TRANSCRIPT_FAILED)
        self._lines: list[dict[str, Any]] = []
        self._writing: asyncio.Task[None] | None = None

    def add_line(self, speaker: str, facts: dict[str, Any]) -> None:
        """Queue a line, of `speaker` and `facts`, which is written in the background. Returns at once."""
        if self._path is None:
            return
        line = {"time": files.utc_timestamp(), "stream": self._call.stream.id, "who": speaker, **facts}
        self._lines.append(line)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Wait until all lines are written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._write()

    async def _write(self) -> None:
        while self._lines and self._path is not None and not self._writer.failed:
            lines, self._lines = self._lines, []
            await self._writer.write(
                self._path, files.append_json_lines, self._directory, self._path, lines, self._modes
            )
