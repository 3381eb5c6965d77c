"""The three encapsulations of a media stream as the platform speaks and takes them, written with struct alone.

What the client hears is µ-law, and what it may say is linear (seen): the two directions have nothing in common.
"""

import random
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tests.twin import audiosocket
from tests.twin.audiosocket import Complain, FatalError, UnusableError, linear
from tests.twin.codecs import audioop, encode

__all__ = ["ENCAPSULATIONS", "AudioSocket", "Format", "Rtp", "RtpHeader", "Sln", "audioop", "make"]

ENCAPSULATIONS = ("audiosocket", "rtp", "sln")


class RtpHeader(NamedTuple):
    """What the platform ignores and an RTP receiver would not."""

    sequence: int
    timestamp: int
    ssrc: int
    marker: bool


class Format(Protocol):
    """One stream's wire format in both directions."""

    def say(self, pcm: bytes) -> bytes:
        """The binary message that the client gets for some PCM, 20 ms or the short end of a file."""
        ...

    def hear(self, data: bytes, print_errors: Complain) -> Iterator[bytes]:
        """The pieces of PCM in a message; UnusableError, FatalError or HungUpError where its rest is none."""
        ...


class AudioSocket:
    """Seen: `10 00 a0` + 160 bytes of µ-law to the client; only `10 01 40` + 320 bytes of slin is heard right.

    The client's messages go verbatim into Asterisk's TCP stream, so one message may hold several (read).
    """

    def __init__(self, codec: str = "ulaw") -> None:
        self._codec = codec

    def say(self, pcm: bytes) -> bytes:
        return audiosocket.message(audiosocket.AUDIO, encode(pcm, self._codec))

    def hear(self, data: bytes, print_errors: Complain) -> Iterator[bytes]:
        if not data:  # nothing is written, so Asterisk sees nothing
            raise UnusableError("an empty message")
        while data:
            if len(data) < audiosocket.HEADER:
                raise FatalError(f"AudioSocket header cut short: {len(data)} of 3 bytes")
            kind, length = audiosocket.header(data)
            payload, data = data[3 : 3 + length], data[3 + length :]
            if len(payload) < length:  # seen: the connection ends where a payload lags behind its header
                raise FatalError(f"AudioSocket payload cut short: {len(payload)} of {length} bytes")
            yield audiosocket.audio(kind, payload, print_errors)


class Sln:
    """Read: 160 bytes of µ-law to the client, whatever the name says; 320 bytes of slin from it; no header."""

    def __init__(self, codec: str = "ulaw") -> None:
        self._codec = codec

    def say(self, pcm: bytes) -> bytes:
        return encode(pcm, self._codec)

    def hear(self, data: bytes, print_errors: Complain) -> Iterator[bytes]:
        if len(data) > audiosocket.LARGEST:  # read: the length does not fit, and the relay panics
            raise FatalError(f"panic: {len(data)} bytes do not fit in an AudioSocket message")
        if not data:
            raise FatalError("AudioSocket audio of length 0")
        yield linear(data, print_errors)


class Rtp:
    """Read: SSRC 0, timestamps by payload bytes, µ-law to the client; from it the same payload type, with linear
    samples that are little-endian. The payload type is 96, and was 0 before August 2026."""

    def __init__(self, codec: str = "ulaw", payload_type: int = 96) -> None:
        self._codec = codec
        self._payload_type = payload_type
        self._sequence = random.getrandbits(16)
        self._timestamp = 0
        self.headers: list[RtpHeader] = []  # of the packets with sound that came

    @property
    def sequence(self) -> int:
        """Of the last packet said."""
        return self._sequence

    def say(self, pcm: bytes) -> bytes:
        payload = encode(pcm, self._codec)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + len(payload)) & 0xFFFFFFFF
        return struct.pack(">BBHII", 0x80, self._payload_type, self._sequence, self._timestamp, 0) + payload

    def hear(self, data: bytes, print_errors: Complain) -> Iterator[bytes]:
        if len(data) < 12:
            raise UnusableError(f"RTP header cut short: {len(data)} of 12 bytes")
        first, second, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", data)
        if second & 0x7F != self._payload_type:
            raise UnusableError(f"RTP payload type {second & 0x7F}, not {self._payload_type}")
        if first >> 6 != 2:
            raise UnusableError(f"RTP version {first >> 6}, not 2")
        if first & 0x3F:
            raise UnusableError("RTP padding, extension or contributing sources, which nothing needs here")
        if len(data) == 12:
            raise FatalError("AudioSocket audio of length 0")
        pcm = linear(data[12:], print_errors)
        self.headers.append(RtpHeader(sequence, timestamp, ssrc, bool(second & 0x80)))
        yield pcm


def make(encapsulation: str, codec: str, payload_type: int) -> Format:
    match encapsulation:
        case "rtp":
            return Rtp(codec, payload_type)
        case "sln":
            return Sln(codec)
    return AudioSocket(codec)
