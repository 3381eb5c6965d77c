"""RTP packets (RFC 3550) with the audio payload types that VoIPBIN (the platform) supports.

Payload type 0 is PCMU and 8 is PCMA, as in RFC 3551. Payload type 96 is the platform's own. Under 96 the platform
accepts L16, which is *little-endian* contrary to RFC 3551, and sends µ-law (`wire.codec`).
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
_EVENT_BYTES = (
    4  # payload of a telephone event, such as a key, in a payload type that the peers agreed on (RFC 4733)
)


class PayloadType(IntEnum):
    """The RTP payload types that this server supports."""

    PCMU = 0
    PCMA = 8
    L16 = 96


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet with the header fields of RFC 3550, section 5.1, without padding."""

    payload_type: int
    sequence: int  # the sequence number, of 16 bits
    timestamp: int  # the timestamp, of 32 bits, in samples
    ssrc: int  # the synchronization source identifier, of 32 bits
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None  # the header extension: 16 bits of the profile, and 32-bit words


def serialize(packet: Packet) -> bytes:
    """The bytes of an RTP packet: header and payload."""
    first = VERSION << 6 | (packet.extension is not None) << 4 | len(packet.csrcs)
    second = packet.marker << 7 | packet.payload_type
    parts = [_FIXED.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)]
    parts += [csrc.to_bytes(4, "big") for csrc in packet.csrcs]
    if packet.extension is not None:
        profile, words = packet.extension
        parts += [struct.pack(">HH", profile, len(words) // 4), words]
    return b"".join((*parts, packet.payload))


def parse(data: bytes) -> Packet:
    """The RTP packet in `data`; ProtocolError if the packet is cut short, or its RTP version is not 2."""
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
        end -= data[-1] or end  # the last byte is the number of padding bytes; 0 counts as a number too large
    if end < at:
        raise ProtocolError(f"RTP packet cut short: {len(data)} bytes")
    payload = data[at:end]
    return Packet(second & 0x7F, sequence, timestamp, ssrc, payload, bool(second & _MARKER), csrcs, extension)


def payload_type(packet: Packet) -> PayloadType:
    """The payload type of a packet; ProtocolError if this server does not support the payload type."""
    try:
        return PayloadType(packet.payload_type)
    except ValueError:
        text = f"RTP payload type {packet.payload_type} is none of 0 (PCMU), 8 (PCMA), 96 (L16)"
        if packet.payload_type > max(PayloadType) and len(packet.payload) == _EVENT_BYTES:
            text += "; these look like keys (RFC 4733), which are taken only as tones in the sound"
        raise ProtocolError(text) from None


class Packetizer:
    """Makes the RTP packets that the server sends on one stream.

    The SSRC, the first sequence number and the first timestamp are random (RFC 3550, section 5.1). With each
    further packet, the sequence number grows by 1 and the timestamp by 160, in silence as well.
    """

    __slots__ = ("_marker", "_pack", "_payload_type", "_sequences", "_ssrc", "_start", "_timestamps")

    def __init__(
        self,
        payload_type: PayloadType,
        random_bits: Callable[[int], int] = random.getrandbits,
        payload_bytes: int | None = None,
    ) -> None:
        self._ssrc = random_bits(32)
        self._sequences = _wrapping_counter(random_bits(16), 1, 1 << 16)
        self._timestamps = _wrapping_counter(random_bits(32), FRAME_SAMPLES, 1 << 32)
        self._marker = 0
        self.set_payload_type(payload_type, payload_bytes)

    def set_payload_type(self, payload_type: PayloadType, payload_bytes: int | None = None) -> None:
        """Use this payload type in the iterators that `packets` returns from now on.

        `payload_bytes` is the size of a frame's payload in bytes. If it is None, the payload type decides the
        size.
        """
        self._start, self._pack = _message_layout(payload_bytes or _frame_bytes(payload_type))
        self._payload_type = int(payload_type)

    def mark_talkspurt(self, *, begins: bool = True) -> None:
        """Set the marker bit of the next packet, to mark it as the first of a talkspurt (RFC 3551, section 4.1).

        With `begins=False`, clear the marker bit of the next packet again.
        """
        self._marker = _MARKER if begins else 0

    def packets(self, payloads: Iterable[bytes]) -> Iterator[bytes]:
        """An RTP packet for each payload of a frame, as a whole WebSocket message.

        Each message is made on demand, by C code (`map` and `struct`) for speed. When the payloads end, no
        sequence number or timestamp may have been used up, so that the next source continues without a gap.
        Therefore `map` must take a payload before it takes a sequence number and a timestamp. For this reason
        `pack` is given each payload twice: first as `0s`, which writes nothing, and last to be written.
        """
        first, payloads = tee(payloads)
        kinds = chain(map(self._with_marker, (self._payload_type,)), repeat(self._payload_type))
        numbers = self._sequences, self._timestamps
        return map(self._pack, first, repeat(self._start), kinds, *numbers, repeat(self._ssrc), payloads)

    def _with_marker(self, payload_type: int) -> int:
        marker, self._marker = self._marker, 0
        return payload_type | marker


def _frame_bytes(payload_type: PayloadType) -> int:
    return FRAME_SAMPLES * (SAMPLE_BYTES if payload_type == PayloadType.L16 else 1)


@cache
def _message_layout(size: int) -> tuple[bytes, Callable[..., bytes]]:
    """The first bytes of WebSocket messages with an RTP payload of `size` bytes, and the function to pack them."""
    start = websocket.header(HEADER_BYTES + size) + bytes((VERSION << 6,))
    return start, struct.Struct(f">0s{len(start)}sBHII{size}s").pack


def _wrapping_counter(first: int, step: int, modulus: int) -> Iterator[int]:
    """Count from `first` in steps of `step`, modulo `modulus`, without end.

    Python code runs only when the numbers wrap around, so that counting is fast.
    """

    def ramps() -> Iterator[range]:
        at = first
        while True:
            ramp = range(at, modulus, step)
            yield ramp
            at = (ramp[-1] + step) % modulus

    return chain.from_iterable(ramps())
