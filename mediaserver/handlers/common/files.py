"""Where handlers write: names made of a template, and never outside their folder."""

import contextlib
import json
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, BaseModel, Field

from mediaserver.call import DEFAULT_MODES, Call, FileModes, Stream, create_file, ensure_within, make_folders
from mediaserver.errors import plainly
from mediaserver.events.kinds import EventKind

FIELDS = frozenset({"resource", "id", "time", "stream", "call"})
_UNSAFE = re.compile(r"[^\w.@+-]+")
_MAX_VALUE = 60  # bytes: a name must fit into a file system's 255

log = structlog.get_logger()


def _mode(text: str, least: int) -> str:
    if not re.fullmatch("[0-7]{3,4}", text) or int(text, 8) & least != least:
        usual = least | least >> 3 & 0o050  # the group may read
        raise ValueError(f'should be an octal mode with "{least:04o}" in it, such as "{usual:04o}"')
    return text


class Keeping(BaseModel):
    """Settings of handlers that leave files: who may read these, and the folders made for them."""

    file_mode: Annotated[str, AfterValidator(lambda text: _mode(text, 0o600))] = "0640"
    directory_mode: Annotated[str, AfterValidator(lambda text: _mode(text, 0o700))] = Field(
        "0750", description="mode of the folders that are made for the files, whatever the umask"
    )

    @property
    def modes(self) -> FileModes:
        """Both."""
        return FileModes(int(self.file_mode, 8), int(self.directory_mode, 8))


def check(template: str) -> str:
    """A template that makes names within a folder; ValueError where it does not."""
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f'"{template}" is not a name template: {error}') from error
    for name, format_, conversion in fields:
        if name not in FIELDS or format_ or conversion:
            raise ValueError(f'"{template}" has a field that is none of {{{"}, {".join(sorted(FIELDS))}}}')
    path = PurePosixPath(template)
    if not template.isprintable() or path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f'"{template}" must name a file within the folder')
    return template


def place(directory: Path, template: str, stream: Stream) -> Path:
    """The path for one stream."""
    now = datetime.now(UTC)
    values = {
        "resource": stream.kind,
        "id": stream.subject,
        "time": f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z",
        "stream": stream.id,
        "call": stream.call or stream.subject,
    }
    return directory / template.format_map({key: _safe(value) for key, value in values.items()})


def now() -> str:
    """The time, as files and systems are told of it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(
    directory: Path, path: Path, documents: Iterable[dict[str, Any]], modes: FileModes = DEFAULT_MODES
) -> None:
    """Add JSON documents to a file within a folder, a line each. Blocks; OSError where it cannot be written."""
    ensure_within(directory, path)
    make_folders(path.parent, modes)
    with contextlib.suppress(FileExistsError):
        os.close(create_file(path, modes))
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(document) + "\n" for document in documents)


def tell_failure(call: Call, kind: EventKind, path: Path, error: OSError) -> None:
    """Tell that the transcript or the report of a stream cannot be written: in the log, and as an event."""
    why = plainly(error)
    log.error(f"{kind.partition('.')[0]} not written", stream=call.stream.id, file=str(path), why=why)
    call.notify(kind, {"file": str(path), "error": why})


def _safe(value: str) -> str:
    """A value as a part of a name."""
    name = _UNSAFE.sub("-", value).encode()[:_MAX_VALUE].decode(errors="ignore")
    return name.strip("-.") or "none"
