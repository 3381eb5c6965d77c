"""A parser of Server-Sent Events (SSE), as the HTML standard defines them in section 9.2.6. No I/O."""

import codecs
import re
from typing import NamedTuple

MAX_EVENT_CHARACTERS = 65_536  # the maximum number of characters in the data of one event
_LINE_END = re.compile(r"\r\n|\r|\n")


class ServerSentEvent(NamedTuple):
    """One Server-Sent Event. `kind` is its type, which is "message" if the server sends no type."""

    data: str
    kind: str = "message"


class ServerSentEventParser:
    """An incremental parser of an event stream, which may be cut at any byte, even inside a UTF-8 sequence.

    An empty line ends an event. If the stream ends before an event's empty line, this event is discarded, as the
    standard demands.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._incomplete_line = ""
        self._after_cr = False  # whether the input so far ends in CR; a LF after it belongs to the same line end
        self._data: list[str] = []
        self._kind, self._data_characters = "", 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Parse more bytes and return the events that they complete. Raises ValueError if an event is too long."""
        text = self._decode(data)
        if not text:
            return []
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        *lines, self._incomplete_line = _LINE_END.split(self._incomplete_line + text)
        events = [event for event in map(self._feed_line, lines) if event is not None]
        if self._data_characters + len(self._incomplete_line) > MAX_EVENT_CHARACTERS:
            raise ValueError(f"an event has more than {MAX_EVENT_CHARACTERS} characters")
        return events

    def _feed_line(self, line: str) -> ServerSentEvent | None:
        """Parse one line of the stream; return the event that an empty line completes, None for any other line."""
        if not line:
            data, kind = self._data, self._kind or "message"
            self._data, self._kind, self._data_characters = [], "", 0
            return ServerSentEvent("\n".join(data), kind) if data else None
        field, _, value = line.partition(":")  # a comment line begins with a colon, so its field name is empty
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._data_characters += len(value) + 1
        elif field == "event":
            self._kind = value
        return None
