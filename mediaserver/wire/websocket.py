"""WebSocket framing (RFC 6455): each frame of media as one unfragmented message, and a server's control frames.

WebSocket frames from server to client are unmasked, so the message of a cached frame is the same bytes for every
peer. Frames from client to server are masked, each with a fresh random key (RFC 6455, section 5.3).
"""

import base64
import functools
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FIN_TEXT, _FIN_BINARY, _FIN_CLOSE, _FIN_PING, _FIN_PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_MASKED = 0x80
_HEADER_BYTES = {126: 4, 127: 10}  # size of an unmasked message's header, by its second byte; 2 for any other
_WORD = 4  # number of bytes of payload that are unmasked in one operation
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK_BYTES = 4  # size of a masking key, which follows the header of a client's message
KEY_BYTES = 16  # bytes of the Sec-WebSocket-Key in a client's handshake, once decoded from base64
PING = bytes((_FIN_PING, 0))  # a server's ping frame, without a payload
_EMPTY_PONG = bytes((_FIN_PONG, _MASKED))  # the header of a client's pong frame without a payload


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a client's Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def pong(payload: bytes) -> bytes:
    """A server's pong frame. `payload` is that of the ping which the pong answers, at most 125 bytes."""
    return bytes((_FIN_PONG, len(payload))) + payload


def is_pong(data: bytes) -> bool:
    """Whether `data` is one whole pong frame of a client, without a payload, as it answers `PING`."""
    return len(data) == 2 + MASK_BYTES and data.startswith(_EMPTY_PONG)


def close(code: int, reason: bytes = b"") -> bytes:
    """A server's close frame. `reason` is a text in UTF-8, of at most 123 bytes."""
    return bytes((_FIN_CLOSE, 2 + len(reason))) + code.to_bytes(2, "big") + reason


def header(length: int, first: int = _FIN_BINARY) -> bytes:
    """The header of an unmasked WebSocket message with `length` bytes of payload; `first` is the first byte."""
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def binary(payload: bytes) -> bytes:
    """`payload` as one whole unmasked binary WebSocket message."""
    return header(len(payload)) + payload


def text(payload: str) -> bytes:
    """`payload` as one whole unmasked WebSocket text message."""
    data = payload.encode()
    return header(len(data), _FIN_TEXT) + data


def masked_head(length: int) -> bytes:
    """The first bytes of a client's whole binary message with `length` bytes of payload, up to its masking key."""
    head = header(length)
    return bytes((head[0], head[1] | _MASKED)) + head[2:]


def masked_size(length: int) -> int:
    """The size in bytes of a client's whole message with `length` bytes of payload."""
    return len(header(length)) + MASK_BYTES + length


def payload_bytes(size: int) -> int:
    """The number of bytes of payload in a client's whole message of `size` bytes.

    The payload must have 126 to 65 535 bytes.
    """
    return size - 4 - MASK_BYTES


@functools.lru_cache(maxsize=64)
def _masking(head: bytes) -> tuple[bytes, int, int, int]:
    """What it takes to mask the payload behind the header `head` of an unmasked message by integer arithmetic.

    These are: the header of the masked message; a factor which, multiplied by a masking key (four bytes as an
    integer), gives the key repeated over the payload, and up to three bytes more; a number with all bits of the
    payload set, with which a bitwise AND cuts off the bytes beyond the payload; the payload's size.
    """
    size = int.from_bytes(head[2:], "big") if len(head) > 2 else head[1]
    repeat = int.from_bytes((b"\1\0\0\0" * (size // MASK_BYTES + 1))[:size], "little")
    return bytes((head[0], head[1] | _MASKED)) + head[2:], repeat, (1 << 8 * size) - 1, size


def mask(message: bytes, key: bytes) -> bytes:
    """A whole unmasked message, masked with the four bytes of `key` as a client must send it."""
    start = _HEADER_BYTES.get(message[1], 2)
    head, repeat, limit, size = _masking(message[:start])
    pad = int.from_bytes(key, "little") * repeat & limit
    return head + key + (int.from_bytes(message[start:], "little") ^ pad).to_bytes(size, "little")


def unmask_all(messages: Sequence[bytes], length: int) -> NDArray[np.uint8]:
    """The payloads of a client's whole messages, shape (n, length), for `length` from 126 to 65 535 bytes.

    Each message has a header of four bytes, its masking key, and `length` bytes of payload.
    """
    words = -(-length // _WORD)
    padding = bytes(words * _WORD - length)
    rows = np.frombuffer(padding.join(messages) + padding, np.uint32).reshape(len(messages), 2 + words)
    return (rows[:, 2:] ^ rows[:, 1:2]).view(np.uint8)[:, :length]
