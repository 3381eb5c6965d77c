"""The files that handlers write: their names, permissions and writing.

A file's name comes from a template, and never leads out of the configured folder. A thread writes the file.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, BaseModel, Field

from mediaserver.call import (
    DEFAULT_MODES,
    Call,
    DiskExecutor,
    FileModes,
    Stream,
    create_file,
    ensure_within,
    make_folders,
)
from mediaserver.errors import error_text
from mediaserver.events.kinds import EventKind

TEMPLATE_FIELDS = frozenset({"resource", "id", "time", "stream", "call"})
_UNSAFE = re.compile(r"[^\w.@+-]+")
_MAX_SEGMENT = 60  # the maximum bytes of a value in a file's name, which file systems limit to 255 in all

log = structlog.get_logger()


def _validate_mode(text: str, least: int) -> str:
    if not re.fullmatch("[0-7]{3,4}", text) or int(text, 8) & least != least:
        usual = least | least >> 3 & 0o050  # the mode that the error message suggests; the group may read, too
        raise ValueError(f'should be an octal mode with "{least:04o}" in it, such as "{usual:04o}"')
    return text


class FileModeSettings(BaseModel):
    """Settings of handlers that write files: the permissions of the files, and of new folders for them."""

    file_mode: Annotated[str, AfterValidator(lambda text: _validate_mode(text, 0o600))] = "0640"
    directory_mode: Annotated[str, AfterValidator(lambda text: _validate_mode(text, 0o700))] = Field(
        "0750", description="The permissions of folders that are made for the files, whatever the umask."
    )

    @property
    def modes(self) -> FileModes:
        """The modes of files and of folders, as numbers."""
        return FileModes(int(self.file_mode, 8), int(self.directory_mode, 8))


def validate_template(template: str) -> str:
    """Return a template of file names. ValueError if it is malformed, or names a file outside of the folder."""
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f'"{template}" is not a name template: {error}') from error
    for name, format_, conversion in fields:
        if name not in TEMPLATE_FIELDS or format_ or conversion:
            raise ValueError(
                f'"{template}" has a field that is none of {{{"}, {".join(sorted(TEMPLATE_FIELDS))}}}'
            )
    path = PurePosixPath(template)
    if not template.isprintable() or path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f'"{template}" must name a file within the folder')
    return template


def expand_template(directory: Path, template: str, stream: Stream) -> Path:
    """The path of a stream's file in `directory`: the name template, filled with values of the stream."""
    now = datetime.now(UTC)
    values = {
        "resource": stream.kind,
        "id": stream.subject,
        "time": f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z",
        "stream": stream.id,
        "call": stream.call or stream.subject,
    }
    return directory / template.format_map({key: _safe_segment(value) for key, value in values.items()})


def append_json_lines(
    directory: Path, path: Path, documents: Iterable[dict[str, Any]], modes: FileModes = DEFAULT_MODES
) -> None:
    """Append JSON documents to the file at `path`, one a line. The call blocks while the disk writes.

    OSError if the file cannot be written, or lies outside of `directory`.
    """
    ensure_within(directory, path)
    make_folders(path.parent, modes)
    with contextlib.suppress(FileExistsError):
        os.close(create_file(path, modes))
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(document) + "\n" for document in documents)


class CallFileWriter:
    """Writes a file of one call in a thread. The first failure is logged, and emitted as the event `failure`."""

    def __init__(self, call: Call, failure: Literal[EventKind.TRANSCRIPT_FAILED, EventKind.REPORT_FAILED]) -> None:
        self._call, self._failure = call, failure
        self._disk = DiskExecutor()
        self.failed = False

    async def write(self, path: Path, work: Callable[..., None], *args: Any) -> None:
        """Run `work`, a blocking function that writes to `path`, in a thread. OSError is reported, not raised."""
        try:
            await self._disk.run_blocking(work, *args)
        except OSError as error:
            if not self.failed:
                self.failed = True
                why = error_text(error)
                what = self._failure.partition(".")[0]
                log.error(f"{what} not written", stream=self._call.stream.id, file=str(path), why=why)
                self._call.notify(self._failure, {"file": str(path), "error": why})


def _safe_segment(value: str) -> str:
    """A value as a part of a file's name: without separators and control characters, cut to 60 bytes."""
    name = _UNSAFE.sub("-", value).encode()[:_MAX_SEGMENT].decode(errors="ignore")
    return name.strip("-.") or "none"
