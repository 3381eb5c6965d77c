"""AudioSocket messages, `kind u8 | length u16 big-endian | payload`, and how an Asterisk takes those it gets."""

import struct
from collections.abc import Callable
from uuid import UUID

HANGUP, UUID_KIND, DTMF, AUDIO, AUDIO_16K = 0x00, 0x01, 0x03, 0x10, 0x12
HEADER = 3
HANGUP_MESSAGE = b"\x00\x00\x00"
LARGEST = 0xFFFF  # bytes of audio that fit in one message
_HALF_A_FRAME = 160

Complain = Callable[[str], None]


class UnusableError(Exception):
    """This message is dropped, and the stream goes on."""


class FatalError(Exception):
    """The connection does not survive this message."""


class HungUpError(Exception):
    """The client says that the stream is over."""


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BH", kind, len(payload)) + payload


def uuid_message(stream: UUID) -> bytes:
    """The first message on TCP."""
    return message(UUID_KIND, stream.bytes)


def header(data: bytes) -> tuple[int, int]:
    """Kind and length. HungUpError or FatalError where they end the stream, before any payload is looked at.

    Seen: raw PCM without a header ends it. Read: so do any kind but audio's, and audio of length 0.
    """
    kind, length = struct.unpack_from(">BH", data)
    if kind == HANGUP:
        raise HungUpError
    if not 0x10 <= kind <= 0x18:
        raise FatalError(f"AudioSocket kind 0x{kind:02x}")
    if not length:
        raise FatalError("AudioSocket audio of length 0")
    return kind, length


def audio(kind: int, payload: bytes, print_errors: Complain, expected: int = AUDIO) -> bytes:
    """The PCM of an audio message, on a channel that expects this kind.

    Read: kinds 0x11 to 0x18 are audio at other rates. Guess: at another rate than the channel's it is not heard.
    """
    if kind != expected:
        raise UnusableError(f"AudioSocket audio at another rate, kind 0x{kind:02x}")
    return linear(payload, print_errors)


def linear(payload: bytes, print_errors: Complain) -> bytes:
    """A payload as the linear samples that Asterisk takes it for. Seen: µ-law is heard as full-scale noise."""
    if len(payload) % 2:
        raise UnusableError(f"{len(payload)} bytes are not 16-bit PCM")
    if len(payload) == _HALF_A_FRAME:  # what a client sends that speaks µ-law
        print_errors("160 bytes of audio: half a frame of slin")
    return payload
