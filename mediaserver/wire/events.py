"""What a peer says, whatever the encapsulation it says it in."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound from the peer: 16-bit little-endian PCM at 8 kHz, usually one frame of 320 bytes."""

    pcm: bytes
    concealed: bool = False  # made up in place of a lost packet


@dataclass(frozen=True, slots=True)
class Digit:
    """A key pressed at the far end: one of `0-9 A-D * #`."""

    digit: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The UUID the peer gives its stream (AudioSocket kind 0x01)."""

    uuid: UUID


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer says that the call is over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer reports an error of its own (AudioSocket kind 0xff); the code is the peer's."""

    code: int


Event = Audio | Digit | Identity | Hangup | Fault
