"""The texts of Asterisk's chan_websocket, both ways, in their plain form and as JSON.

Seen, word for word, unless a line says otherwise.
"""

import json
from typing import NamedTuple

from tests.twin.codecs import wire_bytes

COMMANDS = (
    *("ANSWER", "HANGUP", "FLUSH_MEDIA", "MARK_MEDIA", "PAUSE_MEDIA", "CONTINUE_MEDIA", "GET_STATUS"),
    *("REPORT_QUEUE_DRAINED", "START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING"),
)
LONGEST = 127  # bytes of a command: seen


class Command(NamedTuple):
    """What the application says, with the id of a mark or of media that is to be buffered."""

    name: str
    id: str | None


class CommandError(Exception):
    """A text that is no command; `told` says whether the application hears of it."""

    def __init__(self, text: str, told: bool = False) -> None:
        super().__init__(text)
        self.told = told


def parse(text: str, as_json: bool) -> Command:
    """A command; CommandError where it is none.

    Seen: an ERROR event tells of what is no JSON where it should be. Read: all else that is wrong is only logged.
    """
    if len(text.encode()) > LONGEST:
        raise CommandError(f"A command of {len(text.encode())} bytes is too long")
    if as_json:
        try:
            fields = dict(json.loads(text))
        except (ValueError, TypeError):
            raise CommandError("Unable to parse JSON command", told=True) from None
        name, id_ = fields.get("command"), fields.get("correlation_id")
    else:
        name, _, rest = text.partition(" ")
        id_ = rest or None
    if name not in COMMANDS:
        raise CommandError(f"Unknown command: {str(name)[:40]}")
    return Command(name, id_)


class Texts:
    """The events of one channel."""

    def __init__(self, connection_id: str, channel_id: str, as_json: bool) -> None:
        self._connection_id = connection_id
        self._channel_id = channel_id
        self._json = as_json

    def media_start(self, codec: str, ptime_ms: int) -> str:
        """Read: the ptime is the codec's own. Guess: with another than 20 ms the size is in proportion."""
        size = wire_bytes(codec, ptime_ms)
        fields = {
            "connection_id": self._connection_id,
            "channel": f"WebSocket/{self._connection_id}/0x7f0000000000",
            "channel_id": self._channel_id,
            "format": codec,
            "optimal_frame_size": size,
            "ptime": ptime_ms,
        }
        variables = {
            "MEDIA_WEBSOCKET_CONNECTION_ID": self._connection_id,
            "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": str(size),
        }
        if self._json:
            return _dump({"event": "MEDIA_START", **fields, "channel_variables": variables})
        return " ".join(["MEDIA_START", *(f"{key}:{value}" for key, value in fields.items())])

    def dtmf_end(self, digit: str) -> str:
        if self._json:
            return self._event("DTMF_END", digit=digit)
        return f"DTMF_END digit:{digit} channel_id:{self._channel_id}"

    def status(self, **fields: object) -> str:
        if self._json:
            return self._event("STATUS", **fields)
        told = (f"{key}:{json.dumps(value)}" for key, value in fields.items())
        return " ".join(["STATUS", f"channel_id:{self._channel_id}", *told])

    def event(self, name: str, id_: str | None = None) -> str:
        """QUEUE_DRAINED, MEDIA_XOFF, MEDIA_XON, and with an id MEDIA_MARK_PROCESSED and MEDIA_BUFFERING_COMPLETED.

        Read: the JSON of MEDIA_XOFF, MEDIA_XON and MEDIA_BUFFERING_COMPLETED.
        """
        if self._json:
            return self._event(name, **({} if id_ is None else {"correlation_id": id_}))
        return name if id_ is None else f"{name} {id_}"

    def error(self, text: str) -> str:
        """Read: its plain form, which no command in the twin leads to."""
        if self._json:
            return self._event("ERROR", error_text=text)
        return f"ERROR channel_id:{self._channel_id} error_text:{text}"

    def _event(self, name: str, **fields: object) -> str:
        return _dump({"event": name, "channel_id": self._channel_id, **fields})


def _dump(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))
