"""The events that a peer sends, in whatever encapsulation."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio from the peer: 16-bit little-endian PCM at 8 kHz, usually one frame of 320 bytes."""

    pcm: bytes
    concealed: bool = False  # silence in place of a lost packet (packet loss concealment)


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF key pressed at the far end: one of `0-9 A-D * #`."""

    digit: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The UUID that the peer gives its stream (AudioSocket kind 0x01)."""

    uuid: UUID


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer has hung up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer reports an error of its own (AudioSocket kind 0xff); the code is the peer's."""

    code: int


Event = Audio | Digit | Identity | Hangup | Fault
