"""Twilio's Media Streams, as Twilio speaks it to the application of a bidirectional stream.

Messages and their fields are those of "Media Streams - WebSocket Messages"
(https://www.twilio.com/docs/voice/media-streams/websocket-messages): JSON in text messages, numbers as strings,
sound as base64 of 8 kHz µ-law.
"""

import binascii
import hashlib
import re
from typing import Any

from mediaserver.audio import g711
from mediaserver.audio.pcm import SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.application import (
    Application,
    CallFacts,
    Clear,
    Mark,
    Message,
    Play,
    Said,
    encode,
    mark_named,
    parse_json,
)

_ACCOUNT = "AC" + "0" * 32  # there are no accounts here
_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": SAMPLE_RATE, "channels": 1}


def call_sid(call: CallFacts) -> str:
    """A call's SID: the digits of its own id where that is a UUID or another hexadecimal number."""
    return "CA" + _hex(call.call or call.stream, 32)


def stream_sid(call: CallFacts) -> str:
    """A stream's SID: its id, and the count of the connection, for Twilio never gives a SID twice."""
    return "MZ" + _hex(call.stream, 24) + f"{call.connection:08x}"


def _hex(name: str, digits: int) -> str:
    """A name as so many hexadecimal digits: its own where it has no others, those of its hash otherwise."""
    own = name.replace("-", "").lower()
    if re.fullmatch(f"[0-9a-f]{{1,{digits}}}", own):
        return own.zfill(digits)
    return hashlib.blake2b(name.encode(errors="backslashreplace"), digest_size=digits // 2).hexdigest()


class Twilio(Application):
    """One connection. The caller's is the track `inbound`."""

    def __init__(self, call: CallFacts) -> None:
        self._call = call
        self._stream_sid, self._call_sid = stream_sid(call), call_sid(call)
        self._sequence = self._chunk = 0

    def opening(self) -> list[Message]:
        """`connected` and `start`; what is known of the stream stands in `customParameters`."""
        variables = {name: str(value) for name, value in self._call.variables.items()}
        start = {
            "accountSid": _ACCOUNT,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": _FORMAT,
            "customParameters": variables | self._call.facts,
        }
        connected = encode({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._message("start", start)]

    def audio(self, pcm: bytes, ms: int) -> Message:
        """A `media` message, put together by hand: there are fifty a second."""
        self._sequence += 1
        self._chunk += 1
        payload = binascii.b2a_base64(g711.mulaw_encode(from_bytes(pcm)), newline=False).decode()
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{ms}","payload":"{payload}"}},"streamSid":"{self._stream_sid}"}}'
        )

    def digit(self, digit: str) -> Message:
        """A `dtmf` message."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> Message:
        """A `mark` message."""
        return self._message("mark", {"name": name})

    def closing(self) -> Message:
        """A `stop` message."""
        return self._message("stop", {"accountSid": _ACCOUNT, "callSid": self._call_sid})

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        number = str(self._sequence)
        return encode({"event": event, "sequenceNumber": number, event: content, "streamSid": self._stream_sid})

    def parse(self, message: Message) -> Said:
        """A `media`, `mark` or `clear` message. There is one stream a connection: its SID is not looked at."""
        if isinstance(message, bytes):
            raise ProtocolError("a binary message, which Twilio's protocol does not have")
        said = parse_json(message)
        match said.get("event"):
            case "media":
                return Play(_decoded(_inner(said, "media").get("payload")))
            case "mark":
                return _mark(said)
            case "clear":
                return Clear()
        raise ProtocolError("a message that is none of media, mark and clear")


def _inner(said: dict[str, Any], key: str) -> dict[str, Any]:
    inner = said.get(key)
    if not isinstance(inner, dict):
        raise ProtocolError(f'a message without the object "{key}"')
    return inner


def _mark(said: dict[str, Any]) -> Mark:
    return mark_named(_inner(said, "mark").get("name"))


def _decoded(payload: object) -> bytes:
    if not isinstance(payload, str):
        raise ProtocolError("media without a payload")
    try:
        codes = binascii.a2b_base64(payload, strict_mode=True)
    except ValueError:
        raise ProtocolError("media whose payload is not base64") from None
    return to_bytes(g711.mulaw_decode(codes))
