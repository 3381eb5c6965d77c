"""The three encapsulations as the platform speaks and takes them, by an independent hand: struct and audioop.

`say` makes 20 ms of PCM the binary message that the client gets; `hear` gives the PCM in one that it sent.
"""

import random
import struct
import warnings
from collections.abc import Iterator
from typing import NamedTuple, Protocol
from uuid import UUID

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import audioop  # an independent G.711

ENCAPSULATIONS = ("audiosocket", "rtp", "sln")
LARGEST = 0xFFFF  # bytes of audio that fit in one AudioSocket message


class UnusableError(Exception):
    """The platform drops this message and goes on."""


class FatalError(Exception):
    """The connection does not survive this message."""


class HungUpError(Exception):
    """The client says that the stream is over."""


class RtpHeader(NamedTuple):
    """What the platform ignores and an RTP receiver would not."""

    sequence: int
    timestamp: int
    ssrc: int
    marker: bool


class Format(Protocol):
    """One stream's wire format in both directions."""

    def say(self, pcm: bytes) -> bytes: ...

    def hear(self, data: bytes) -> Iterator[bytes]:
        """The pieces of PCM in a message; UnusableError, FatalError or HungUpError where its rest is none."""
        ...


class AudioSocket:
    """`kind u8 | length u16 big-endian | payload`, which goes verbatim into Asterisk's TCP stream."""

    def say(self, pcm: bytes) -> bytes:
        return struct.pack(">BH", 0x10, len(pcm)) + pcm

    def hear(self, data: bytes) -> Iterator[bytes]:
        if not data:  # nothing is written, so Asterisk sees nothing
            raise UnusableError("an empty message")
        while data:
            if len(data) < 3:
                raise FatalError(f"AudioSocket header cut short: {len(data)} of 3 bytes")
            kind, length = struct.unpack_from(">BH", data)
            payload, data = data[3 : 3 + length], data[3 + length :]
            if kind == 0x00:
                raise HungUpError
            if not 0x10 <= kind <= 0x18:
                raise FatalError(f"AudioSocket kind 0x{kind:02x}")
            if not length:
                raise FatalError("AudioSocket audio of length 0")
            if len(payload) < length:  # a payload that lags > 5 ms behind its header
                raise FatalError(f"AudioSocket payload cut short: {len(payload)} of {length} bytes")
            if kind != 0x10:
                raise UnusableError(f"AudioSocket audio at another rate, kind 0x{kind:02x}")
            yield _whole_samples(payload)


class Sln:
    """Raw linear PCM; `mulaw` sends µ-law under that name, in messages of 160 bytes."""

    def __init__(self, mulaw: bool = False) -> None:
        self._mulaw = mulaw

    def say(self, pcm: bytes) -> bytes:
        return audioop.lin2ulaw(pcm, 2) if self._mulaw else pcm

    def hear(self, data: bytes) -> Iterator[bytes]:
        if len(data) > LARGEST:
            raise FatalError(f"panic: {len(data)} bytes do not fit in an AudioSocket message")
        if not data:
            raise FatalError("AudioSocket audio of length 0")
        yield _whole_samples(data)


class Rtp:
    """PT 96, L16 in little-endian order, timestamps in bytes; `tutorial` is PT 0, µ-law, timestamps in samples."""

    def __init__(self, tutorial: bool = False) -> None:
        self._tutorial = tutorial
        self._payload_type = 0 if tutorial else 96
        self._sequence = random.getrandbits(16)
        self._timestamp = 0
        self.headers: list[RtpHeader] = []  # of the packets heard

    @property
    def sequence(self) -> int:
        """Of the last packet said."""
        return self._sequence

    def say(self, pcm: bytes) -> bytes:
        payload = audioop.lin2ulaw(pcm, 2) if self._tutorial else pcm
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + len(payload)) & 0xFFFFFFFF
        return struct.pack(">BBHII", 0x80, self._payload_type, self._sequence, self._timestamp, 0) + payload

    def hear(self, data: bytes) -> Iterator[bytes]:
        if len(data) < 12:
            raise UnusableError(f"RTP header cut short: {len(data)} of 12 bytes")
        first, second, *fields = struct.unpack_from(">BBHII", data)
        if second & 0x7F != self._payload_type:
            raise UnusableError(f"RTP payload type {second & 0x7F}, not {self._payload_type}")
        if first >> 6 != 2:
            raise UnusableError(f"RTP version {first >> 6}, not 2")
        if first & 0x3F:
            raise UnusableError("RTP padding, extension or contributing sources, which nothing needs here")
        self.headers.append(RtpHeader(*fields, marker=bool(second & 0x80)))
        payload = data[12:]
        if not payload:
            raise FatalError("AudioSocket audio of length 0")
        yield audioop.ulaw2lin(payload, 2) if self._tutorial else _whole_samples(payload)


def uuid_message(stream: UUID) -> bytes:
    """AudioSocket's first message on TCP; the platform keeps it to itself."""
    return struct.pack(">BH", 0x01, 16) + stream.bytes


def _whole_samples(pcm: bytes) -> bytes:
    if len(pcm) % 2:
        raise UnusableError(f"{len(pcm)} bytes are not 16-bit PCM")
    return pcm
