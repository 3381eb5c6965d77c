"""The dialect `pcm`: 16-bit little-endian PCM at 8 kHz in binary messages, and JSON in text messages.

The server sends the events `start`, `dtmf`, `mark` and `stop`. The application sends `mark`, `clear` and `stop`.
"""

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.dialect import (
    ApplicationCommand,
    CallFacts,
    Clear,
    Dialect,
    HangUp,
    Message,
    Play,
    parse_json,
    parse_mark,
    to_json,
)


class PlainDialect(Dialect):
    """Serializes and parses messages of the dialect `pcm` on one connection to an application."""

    def __init__(self, call: CallFacts) -> None:
        self._call = call

    def serialize_start(self) -> list[Message]:
        """A `start` message, with the facts and variables of the call."""
        facts = self._call.facts | {"variables": dict(self._call.variables)}
        return [to_json({"event": "start", **facts, "sampleRate": SAMPLE_RATE})]

    def serialize_audio(self, pcm: bytes, ms: int) -> Message:
        """A binary message that is the frame's PCM itself."""
        return pcm

    def serialize_digit(self, digit: str) -> Message:
        """A `dtmf` message, with the key that the caller pressed."""
        return to_json({"event": "dtmf", "digit": digit})

    def serialize_mark(self, name: str) -> Message:
        """A `mark` message, with the mark's name."""
        return to_json({"event": "mark", "name": name})

    def serialize_stop(self) -> Message:
        """A `stop` message."""
        return to_json({"event": "stop"})

    def parse(self, message: Message) -> ApplicationCommand:
        """The command in a message: audio of an even number of bytes, `mark`, `clear` or `stop`.

        ProtocolError for any other message.
        """
        if isinstance(message, bytes):
            if len(message) % SAMPLE_BYTES:
                raise ProtocolError(f"{len(message)} bytes are not 16-bit PCM")
            return Play(message)
        members = parse_json(message)
        match members.get("event"):
            case "mark":
                return parse_mark(members.get("name"))
            case "clear":
                return Clear()
            case "stop":
                return HangUp()
        raise ProtocolError("a message that is none of mark, clear and stop")
