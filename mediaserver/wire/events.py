"""The events that a peer sends, such as audio and digits. They are the same for every encapsulation."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio from the peer: 16-bit little-endian PCM at 8 kHz, usually one frame of 320 bytes."""

    pcm: bytes
    concealed: bool = False  # whether `pcm` is silence in place of a lost packet (packet loss concealment)


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF key that the caller pressed: one of `0-9 A-D * #`."""

    digit: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The UUID that the peer gives its stream (AudioSocket message of kind 0x01)."""

    uuid: UUID


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer has hung up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer reports an error of its own, with the peer's code for it (AudioSocket message of kind 0xff)."""

    code: int


Event = Audio | Digit | Identity | Hangup | Fault
