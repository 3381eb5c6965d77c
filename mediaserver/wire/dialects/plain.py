"""A protocol for applications that want samples and no more: 16-bit little-endian PCM at 8 kHz in binary messages.

The rest is JSON in text messages. We say `start`, `dtmf`, `mark` and `stop`; the application `mark`, `clear` and
`stop`.
"""

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.application import (
    Application,
    CallFacts,
    Clear,
    HangUp,
    Message,
    Play,
    Said,
    encode,
    mark_named,
    parse_json,
)


class Plain(Application):
    """One connection."""

    def __init__(self, call: CallFacts) -> None:
        self._call = call

    def opening(self) -> list[Message]:
        """`start`, with what is known of the stream."""
        facts = self._call.facts | {"variables": dict(self._call.variables)}
        return [encode({"event": "start", **facts, "sampleRate": SAMPLE_RATE})]

    def audio(self, pcm: bytes, ms: int) -> Message:
        """The frame as it is."""
        return pcm

    def digit(self, digit: str) -> Message:
        """`dtmf`."""
        return encode({"event": "dtmf", "digit": digit})

    def mark(self, name: str) -> Message:
        """`mark`."""
        return encode({"event": "mark", "name": name})

    def closing(self) -> Message:
        """`stop`."""
        return encode({"event": "stop"})

    def parse(self, message: Message) -> Said:
        """Sound of any even number of bytes, `mark`, `clear` or `stop`."""
        if isinstance(message, bytes):
            if len(message) % SAMPLE_BYTES:
                raise ProtocolError(f"{len(message)} bytes are not 16-bit PCM")
            return Play(message)
        said = parse_json(message)
        match said.get("event"):
            case "mark":
                return mark_named(said.get("name"))
            case "clear":
                return Clear()
            case "stop":
                return HangUp()
        raise ProtocolError("a message that is none of mark, clear and stop")
