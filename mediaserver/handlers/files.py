"""Where handlers write: names made of a template, and never outside their folder."""

import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from string import Formatter

from mediaserver.session import Stream

FIELDS = frozenset({"resource", "id", "time", "stream"})
_UNSAFE = re.compile(r"[^\w.@+-]+")
_MAX_VALUE = 100  # characters: a name must fit into a file system's 255 bytes


def check(template: str) -> str:
    """A template that makes names within a folder; ValueError where it does not."""
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ValueError(f'"{template}" is not a name template: {error}') from error
    unknown = fields - FIELDS
    if unknown:
        raise ValueError(f'"{template}" has {{{unknown.pop()}}}: there are {", ".join(sorted(FIELDS))}')
    path = PurePosixPath(template)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in template:
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
    }
    safe = {key: _UNSAFE.sub("-", value)[:_MAX_VALUE].strip("-.") or "none" for key, value in values.items()}
    return directory / template.format_map(safe)
