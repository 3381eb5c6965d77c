"""Server-Sent Events, as the HTML standard has them parsed (section 9.2.6). No I/O."""

import codecs
import re
from typing import NamedTuple

MOST = 65_536  # characters of one event
_LINE_END = re.compile(r"\r\n|\r|\n")


class ServerEvent(NamedTuple):
    """One event; `kind` is "message" where the server names none."""

    data: str
    kind: str = "message"


class EventStream:
    """A parser fed with bytes cut anywhere, amid a letter too. An event without end is none."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._rest, self._after_cr = "", False  # of a line begun; whether a line feed would end no other line
        self._data: list[str] = []
        self._kind, self._held = "", 0

    def feed(self, data: bytes) -> list[ServerEvent]:
        """More of the stream; the events that it completes. ValueError where one is too long."""
        text = self._decode(data)
        if not text:
            return []
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        *lines, self._rest = _LINE_END.split(self._rest + text)
        found = [event for event in map(self._take, lines) if event is not None]
        if self._held + len(self._rest) > MOST:
            raise ValueError(f"an event has more than {MOST} characters")
        return found

    def _take(self, line: str) -> ServerEvent | None:
        """One line; the event that it ends, if it is empty."""
        if not line:
            data, kind = self._data, self._kind or "message"
            self._data, self._kind, self._held = [], "", 0
            return ServerEvent("\n".join(data), kind) if data else None
        field, _, value = line.partition(":")  # a comment is a field without a name
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._held += len(value) + 1
        elif field == "event":
            self._kind = value
        return None
