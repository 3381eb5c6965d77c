"""AudioSocket messages: `kind u8 | length u16 big-endian | payload` (Asterisk's `res_audiosocket`).

Over WebSocket, every binary message holds whole AudioSocket messages, mostly one. The platform (VoIPBIN) passes
these messages to Asterisk unchanged. Asterisk ends the channel if a payload does not follow its header at once.
Over TCP, AudioSocket messages follow each other on a byte stream, which `StreamParser` cuts into messages.

A message of kind 0x10 carries audio at 8 kHz: signed linear, or G.711 if Asterisk was configured to send G.711.
Asterisk itself accepts signed linear only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from mediaserver.errors import ProtocolError
from mediaserver.wire.events import Digit, Event, Fault, Hangup, Identity

HEADER_BYTES = 3
MAX_PAYLOAD = 0xFFFF
MAX_MESSAGES = 256  # the most AudioSocket messages that one WebSocket message may hold: five seconds of audio
_DTMF_DIGITS = b"0123456789ABCD*#"


class Kind(IntEnum):
    """The kind of an AudioSocket message. `RATES` has the kinds of audio at other sample rates than 8 kHz."""

    HANGUP = 0x00
    UUID = 0x01
    DTMF = 0x03
    SLIN = 0x10
    ERROR = 0xFF


# Sample rates in Hz, by the kinds of messages that carry signed linear audio at another rate than 8 kHz.
RATES = {
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
HANGUP = bytes((Kind.HANGUP, 0, 0))  # a whole hang-up message, which has no payload

_SLIN = int(Kind.SLIN)  # the kind SLIN as a plain int, because comparing with a member of an enum is slow


@dataclass(frozen=True, slots=True)
class Message:
    """One AudioSocket message."""

    kind: int
    payload: bytes = b""


def header(kind: int, length: int) -> bytes:
    """The three-byte header of a message with `length` bytes of payload."""
    return bytes((kind, length >> 8, length & 0xFF))


def serialize(message: Message) -> bytes:
    """The bytes of a message: header and payload; ValueError if the payload exceeds 65 535 bytes."""
    if len(message.payload) > MAX_PAYLOAD:
        raise ValueError(f"an AudioSocket payload of {len(message.payload)} bytes is over {MAX_PAYLOAD}")
    return header(message.kind, len(message.payload)) + message.payload


def parse(data: bytes) -> list[Message]:
    """The messages in `data`, in order; ProtocolError if `data` is empty or the last message is cut short.

    More than MAX_MESSAGES messages are a ProtocolError as well, because parsing thousands of tiny messages would
    delay all other streams.
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
    """Whether `data` is exactly one message: the length in its header equals the number of bytes that follow."""
    return len(data) >= HEADER_BYTES and int.from_bytes(data[1:HEADER_BYTES], "big") == len(data) - HEADER_BYTES


def single_audio_payload(data: bytes) -> bytes | None:
    """The payload of `data` if `data` is exactly one message of audio at 8 kHz; None for any other data."""
    size = len(data) - HEADER_BYTES
    if size > 0 and data[0] == _SLIN and data[1] << 8 | data[2] == size:
        return data[HEADER_BYTES:]
    return None


def to_event(message: Message) -> Event:
    """The event that a message without audio stands for; ProtocolError for a message that Asterisk never sends."""
    kind, payload = message.kind, message.payload
    match kind:
        case Kind.DTMF if len(payload) == 1 and payload in _DTMF_DIGITS:
            return Digit(payload.decode("ascii"))
        case Kind.UUID if len(payload) == 16:
            return Identity(UUID(bytes=payload))
        case Kind.HANGUP:
            return Hangup()
        case Kind.ERROR:
            return Fault(payload[0] if payload else 0)
    raise ProtocolError(f"AudioSocket message of kind 0x{kind:02x} with {len(payload)} bytes")


class StreamParser:
    """Cuts a TCP byte stream, received in pieces of any size, into whole AudioSocket messages with their headers.

    Between two calls of `feed`, the parser keeps the bytes of an incomplete message, at most 65 537 bytes.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes, in order, each as the bytes of its header and payload."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            stop = at + HEADER_BYTES + (data[at + 1] << 8 | data[at + 2])
            if stop > end:
                break
            yield data[at:stop]
            at = stop
        self._rest = data[at:]

    @property
    def pending(self) -> int:
        """The number of bytes received so far of a message that is not complete yet."""
        return len(self._rest)
