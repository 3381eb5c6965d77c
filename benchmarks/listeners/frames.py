"""A parser of WebSocket frames (RFC 6455, section 5), from bytes that are cut anywhere."""

import struct
from dataclasses import dataclass

from mediaserver.transport.masking import mask
from mediaserver.wire import websocket

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
_FINAL, _OPCODE, _MASKED, _LENGTH = 0x80, 0x0F, 0x80, 0x7F
_EXTENDED = {126: struct.Struct("!H"), 127: struct.Struct("!Q")}


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame. `final` tells whether it is the last frame of its message."""

    opcode: int
    payload: bytes
    final: bool = True


def take_frames(data: bytes, *, masked: bool = False) -> tuple[list[Frame], bytes]:
    """All whole frames at the beginning of `data`, and the bytes that are left.

    A client's frames are `masked`, a server's are not. ValueError for a frame that is the other way.
    """
    frames: list[Frame] = []
    at = 0
    while (span := _span(data, at, masked)) is not None:
        start, end = span
        payload = data[start:end]
        if masked:
            payload = _unmask(payload, data[start - websocket.MASK_BYTES : start])
        frames.append(Frame(data[at] & _OPCODE, payload, bool(data[at] & _FINAL)))
        at = end
    return frames, data[at:]


def _span(data: bytes, at: int, masked: bool) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends; None if the frame is not complete."""
    if len(data) < at + 2:
        return None
    if bool(data[at + 1] & _MASKED) is not masked:
        raise ValueError("a client's frame is not masked" if masked else "a server's frame is masked")
    start, length = at + 2, data[at + 1] & _LENGTH
    if extended := _EXTENDED.get(length):
        if len(data) < start + extended.size:
            return None
        (length,) = extended.unpack_from(data, start)
        start += extended.size
    start += websocket.MASK_BYTES * masked
    return (start, start + length) if len(data) >= start + length else None


def _unmask(payload: bytes, key: bytes) -> bytes:
    """A payload without its masking key: to mask it once more takes the key away."""
    message = mask(websocket.binary(payload), key)
    return message[len(message) - len(payload) :]
