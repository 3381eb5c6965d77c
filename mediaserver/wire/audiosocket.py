"""AudioSocket messages: `kind u8 | length u16 big-endian | payload` (Asterisk's `res_audiosocket`).

Over WebSocket every binary message holds whole AudioSocket messages, as a rule one: the platform passes it on
to Asterisk verbatim, and Asterisk ends the channel when a payload lags behind its header.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from mediaserver.audio.pcm import SAMPLE_BYTES
from mediaserver.errors import ProtocolError
from mediaserver.wire.events import Audio, Digit, Event, Fault, Hangup, Identity

HEADER_BYTES = 3
MAX_PAYLOAD = 0xFFFF
MAX_MESSAGES = 256  # in one WebSocket message: five seconds of sound
_DIGITS = b"0123456789ABCD*#"


class Kind(IntEnum):
    """What a message carries. Audio at other rates than 8 kHz is 0x11 to 0x18."""

    HANGUP = 0x00
    UUID = 0x01
    DTMF = 0x03
    SLIN = 0x10
    SLIN_192 = 0x18
    ERROR = 0xFF


_SLIN = int(Kind.SLIN)  # an enum's member is slow to compare


@dataclass(frozen=True, slots=True)
class Message:
    """One AudioSocket message."""

    kind: int
    payload: bytes = b""


def header(kind: int, length: int) -> bytes:
    """The three bytes in front of `length` bytes of payload."""
    return bytes((kind, length >> 8, length & 0xFF))


def serialize(message: Message) -> bytes:
    """The bytes of a message; ValueError where the payload is over 65 535 bytes."""
    if len(message.payload) > MAX_PAYLOAD:
        raise ValueError(f"an AudioSocket payload of {len(message.payload)} bytes is over {MAX_PAYLOAD}")
    return header(message.kind, len(message.payload)) + message.payload


def parse(data: bytes) -> list[Message]:
    """The whole messages in `data`, one after another; ProtocolError where any byte is left over or missing.

    Also where there are more than a peer would put together: thousands of tiny ones would hold up all streams.
    """
    messages: list[Message] = []
    at = 0
    while at < len(data):
        if len(messages) >= MAX_MESSAGES:
            raise ProtocolError(f"more than {MAX_MESSAGES} AudioSocket messages in one")
        end = at + HEADER_BYTES
        if end > len(data):
            raise ProtocolError(f"AudioSocket header cut short: {len(data) - at} of {HEADER_BYTES} bytes")
        length = int.from_bytes(data[at + 1 : end], "big")
        payload = data[end : end + length]
        if len(payload) < length:
            raise ProtocolError(f"AudioSocket payload cut short: {len(payload)} of {length} bytes")
        messages.append(Message(data[at], payload))
        at = end + length
    if not messages:
        raise ProtocolError("empty AudioSocket message")
    return messages


def is_message(data: bytes) -> bool:
    """Whether `data` is exactly one well-formed message: its length field equals what follows."""
    return len(data) >= HEADER_BYTES and int.from_bytes(data[1:HEADER_BYTES], "big") == len(data) - HEADER_BYTES


def lone_audio(data: bytes) -> bytes | None:
    """The PCM of `data` where it is one message of audio and nothing else, as nearly all are."""
    size = len(data) - HEADER_BYTES
    if size > 0 and data[0] == _SLIN and data[1] << 8 | data[2] == size and size % SAMPLE_BYTES == 0:
        return data[HEADER_BYTES:]
    return None


def depacketize(data: bytes) -> Iterator[Event]:
    """The events in one binary message of AudioSocket framing; ProtocolError for what Asterisk never sends."""
    for message in parse(data):
        yield _event(message)


def _event(message: Message) -> Event:
    kind, payload = message.kind, message.payload
    match kind:
        case Kind.SLIN if len(payload) and len(payload) % SAMPLE_BYTES == 0:
            return Audio(payload)
        case Kind.DTMF if len(payload) == 1 and payload in _DIGITS:
            return Digit(payload.decode("ascii"))
        case Kind.UUID if len(payload) == 16:
            return Identity(UUID(bytes=payload))
        case Kind.HANGUP:
            return Hangup()
        case Kind.ERROR:
            return Fault(payload[0] if payload else 0)
    raise ProtocolError(f"AudioSocket message of kind 0x{kind:02x} with {len(payload)} bytes")
