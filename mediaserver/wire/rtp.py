"""RTP packets (RFC 3550) with the audio payload types VoIPBIN knows (RFC 3551).

Payload type 0 is PCMU, 8 is PCMA, and 96 is the platform's own: it takes L16 under it, *little-endian*, against
RFC 3551, and sends µ-law (`wire.codec`).
"""

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import chain, repeat, tee

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES
from mediaserver.errors import ProtocolError
from mediaserver.wire import websocket

VERSION = 2
HEADER_BYTES = 12
_FIXED = struct.Struct(">BBHII")
_MARKER = 0x80


class PayloadType(IntEnum):
    """The payload types in use."""

    PCMU = 0
    PCMA = 8
    L16 = 96


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, header fields as in RFC 3550, section 5.1; padding is never kept."""

    payload_type: int
    sequence: int  # u16
    timestamp: int  # u32, in samples
    ssrc: int  # u32
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None  # profile u16, whole 32-bit words


def serialize(packet: Packet) -> bytes:
    """The bytes of a packet."""
    first = VERSION << 6 | (packet.extension is not None) << 4 | len(packet.csrcs)
    second = packet.marker << 7 | packet.payload_type
    parts = [_FIXED.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)]
    parts += [csrc.to_bytes(4, "big") for csrc in packet.csrcs]
    if packet.extension is not None:
        profile, words = packet.extension
        parts += [struct.pack(">HH", profile, len(words) // 4), words]
    return b"".join((*parts, packet.payload))


def parse(data: bytes) -> Packet:
    """The packet in `data`; ProtocolError where it is none."""
    if len(data) < HEADER_BYTES:
        raise ProtocolError(f"RTP header cut short: {len(data)} of {HEADER_BYTES} bytes")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != VERSION:
        raise ProtocolError(f"RTP version {first >> 6}, not {VERSION}")
    at = HEADER_BYTES + 4 * (first & 15)
    csrcs = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(HEADER_BYTES, at, 4))
    extension = None
    if first & 0x10:
        profile, words = (
            int.from_bytes(data[at : at + 2], "big"),
            int.from_bytes(data[at + 2 : at + 4], "big"),
        )
        extension = profile, data[at + 4 : at + 4 + 4 * words]
        at += 4 + 4 * words
    end = len(data)
    if first & 0x20:
        end -= data[-1] or end  # a padding count of zero is as wrong as one over the packet's size
    if end < at:
        raise ProtocolError(f"RTP packet cut short: {len(data)} bytes")
    payload = data[at:end]
    return Packet(second & 0x7F, sequence, timestamp, ssrc, payload, bool(second & _MARKER), csrcs, extension)


def payload_type(packet: Packet) -> PayloadType:
    """Which of the payload types in use a packet has; ProtocolError for any other."""
    try:
        return PayloadType(packet.payload_type)
    except ValueError:
        raise ProtocolError(
            f"RTP payload type {packet.payload_type} is none of 0 (PCMU), 8 (PCMA), 96 (L16)"
        ) from None


class Packetizer:
    """Writes one stream's packets: a random SSRC and random first sequence number and timestamp (RFC 3550,
    section 5.1), then sequence + 1 and timestamp + 160 a packet, across silence too."""

    __slots__ = ("_marker", "_pack", "_payload_type", "_sequences", "_ssrc", "_start", "_timestamps")

    def __init__(
        self,
        payload_type: PayloadType,
        random_bits: Callable[[int], int] = random.getrandbits,
        payload_bytes: int | None = None,
    ) -> None:
        self._ssrc = random_bits(32)
        self._sequences = _counting(random_bits(16), 1, 1 << 16)
        self._timestamps = _counting(random_bits(32), FRAME_SAMPLES, 1 << 32)
        self._marker = 0
        self.use(payload_type, payload_bytes)

    def use(self, payload_type: PayloadType, payload_bytes: int | None = None) -> None:
        """Whoever asks for `packets` from now on gets this payload type's.

        `payload_bytes` of a frame are those of the payload type's codec, unless the peer takes another under it.
        """
        self._start, self._pack = _layout(payload_bytes or _frame_bytes(payload_type))
        self._payload_type = int(payload_type)

    def talkspurt(self, *, begins: bool = True) -> None:
        """Set the marker bit of the next packet: a talkspurt begins (RFC 3551, section 4.1). Or clear it again."""
        self._marker = _MARKER if begins else 0

    def packets(self, payloads: Iterable[bytes]) -> Iterator[bytes]:
        """Frames' payloads as whole WebSocket messages, each made when it is asked for, in C.

        A payload is asked for before its numbers, and packed after them: `0s` takes one and writes nothing of it.
        So the end of the payloads uses no number up, and what is next to be played is followed without a gap.
        """
        asked, payloads = tee(payloads)
        kinds = chain(map(self._mark, (self._payload_type,)), repeat(self._payload_type))
        numbers = self._sequences, self._timestamps
        return map(self._pack, asked, repeat(self._start), kinds, *numbers, repeat(self._ssrc), payloads)

    def _mark(self, payload_type: int) -> int:
        marker, self._marker = self._marker, 0
        return payload_type | marker


def _frame_bytes(payload_type: PayloadType) -> int:
    return FRAME_SAMPLES * (SAMPLE_BYTES if payload_type == PayloadType.L16 else 1)


@cache
def _layout(size: int) -> tuple[bytes, Callable[..., bytes]]:
    """How messages with a payload of `size` bytes begin, and what packs the rest: see `Packetizer.packets`."""
    start = websocket.header(HEADER_BYTES + size) + bytes((VERSION << 6,))
    return start, struct.Struct(f">0s{len(start)}sBHII{size}s").pack


def _counting(first: int, step: int, modulus: int) -> Iterator[int]:
    """Numbers without end, modulo so many; Python runs only where they wrap."""

    def ramps() -> Iterator[range]:
        at = first
        while True:
            ramp = range(at, modulus, step)
            yield ramp
            at = (ramp[-1] + step) % modulus

    return chain.from_iterable(ramps())
