"""The dialect `twilio`: the server sends and expects what Twilio does on a bidirectional Media Stream.

Messages and their fields are those of "Media Streams - WebSocket Messages"
(https://www.twilio.com/docs/voice/media-streams/websocket-messages). They are JSON in text messages, with numbers
as strings and with audio as base64 of 8 kHz µ-law.
"""

import binascii
import hashlib
import re
from typing import Any

from mediaserver.audio import g711
from mediaserver.audio.pcm import SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.dialect import (
    ApplicationCommand,
    CallFacts,
    Clear,
    Dialect,
    Message,
    Play,
    parse_json,
    parse_mark,
    to_json,
)

_ACCOUNT = "AC" + "0" * 32  # the account's SID is all zeros, because this server has no accounts
_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": SAMPLE_RATE, "channels": 1}


def call_sid(call: CallFacts) -> str:
    """A call's SID: `CA`, and 32 hexadecimal digits of the call's id (such as a UUID) or of the id's hash.

    The hash is used if the id is not a hexadecimal number. The stream's id stands in for a call without an id.
    """
    return "CA" + _hex(call.call or call.stream, 32)


def stream_sid(call: CallFacts) -> str:
    """A stream's SID: `MZ`, 24 hexadecimal digits of the stream's id, and 8 digits of the connection's number.

    Each connection has a SID of its own, because Twilio never uses a SID twice.
    """
    return "MZ" + _hex(call.stream, 24) + f"{call.connection:08x}"


def _hex(name: str, digits: int) -> str:
    """`digits` hexadecimal digits for `name`: `name` itself if it is a hexadecimal number, or else its hash.

    Hyphens in `name` are ignored.
    """
    own = name.replace("-", "").lower()
    if re.fullmatch(f"[0-9a-f]{{1,{digits}}}", own):
        return own.zfill(digits)
    return hashlib.blake2b(name.encode(errors="backslashreplace"), digest_size=digits // 2).hexdigest()


class TwilioDialect(Dialect):
    """Serializes and parses messages of the dialect `twilio` on one connection to an application.

    The caller's audio is the track `inbound`.
    """

    def __init__(self, call: CallFacts) -> None:
        self._call = call
        self._stream_sid, self._call_sid = stream_sid(call), call_sid(call)
        self._sequence = self._chunk = 0

    def serialize_start(self) -> list[Message]:
        """The messages `connected`, and `start` with the call's facts and variables as `customParameters`."""
        variables = {name: str(value) for name, value in self._call.variables.items()}
        start = {
            "accountSid": _ACCOUNT,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": _FORMAT,
            "customParameters": variables | self._call.facts,
        }
        connected = to_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._message("start", start)]

    def serialize_audio(self, pcm: bytes, ms: int) -> Message:
        """A `media` message, formatted without the JSON encoder for speed: a call has fifty of them a second."""
        self._sequence += 1
        self._chunk += 1
        payload = binascii.b2a_base64(g711.mulaw_encode(from_bytes(pcm)), newline=False).decode()
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{ms}","payload":"{payload}"}},"streamSid":"{self._stream_sid}"}}'
        )

    def serialize_digit(self, digit: str) -> Message:
        """A `dtmf` message, with the key that the caller pressed."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def serialize_mark(self, name: str) -> Message:
        """A `mark` message, with the mark's name."""
        return self._message("mark", {"name": name})

    def serialize_stop(self) -> Message:
        """A `stop` message."""
        return self._message("stop", {"accountSid": _ACCOUNT, "callSid": self._call_sid})

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        number = str(self._sequence)
        return to_json({"event": event, "sequenceNumber": number, event: content, "streamSid": self._stream_sid})

    def parse(self, message: Message) -> ApplicationCommand:
        """The command in a `media`, `mark` or `clear` message; ProtocolError for any other message.

        The SID of a stream in the message is ignored, because a connection has only one stream.
        """
        if isinstance(message, bytes):
            raise ProtocolError("a binary message, which Twilio's protocol does not have")
        members = parse_json(message)
        match members.get("event"):
            case "media":
                return Play(_decode_payload(_object(members, "media").get("payload")))
            case "mark":
                return parse_mark(_object(members, "mark").get("name"))
            case "clear":
                return Clear()
        raise ProtocolError("a message that is none of media, mark and clear")


def _object(members: dict[str, Any], key: str) -> dict[str, Any]:
    value = members.get(key)
    if not isinstance(value, dict):
        raise ProtocolError(f'a message without the object "{key}"')
    return value


def _decode_payload(payload: object) -> bytes:
    """Decode the payload of a `media` message, which is µ-law in base64, to 16-bit little-endian PCM."""
    if not isinstance(payload, str):
        raise ProtocolError("media without a payload")
    try:
        codes = binascii.a2b_base64(payload, strict_mode=True)
    except ValueError:
        raise ProtocolError("media whose payload is not base64") from None
    return to_bytes(g711.mulaw_decode(codes))
