"""WebSocket framing (RFC 6455): each frame of media as one unfragmented message, and control frames.

WebSocket frames from server to client are unmasked, so the message of a cached frame is the same bytes for every
peer. Frames from client to server are masked, each with a fresh random key (RFC 6455, section 5.3).
"""

import base64
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_FIN_TEXT, _FIN_BINARY, _FIN_CLOSE, _FIN_PING, _FIN_PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_MASKED = 0x80
_HEADER_SIZES = {126: 4, 127: 10}  # size of an unmasked message's header, by its second byte; 2 for any other
_WORD = 4  # number of bytes of payload that are unmasked in one operation
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEADER_BYTES = 4  # size of the header of a message with 126 to 65 535 bytes of payload, up to a masking key
MASK_BYTES = 4  # size of a masking key, which follows the header of a client's message
KEY_BYTES = 16  # bytes of the Sec-WebSocket-Key in a client's handshake, once decoded from base64


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a client's Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def ping(payload: bytes = b"") -> bytes:
    """An unmasked ping frame, with a payload of at most 125 bytes."""
    return bytes((_FIN_PING, len(payload))) + payload


def pong(payload: bytes) -> bytes:
    """An unmasked pong frame. `payload` is that of the ping which the pong answers, at most 125 bytes."""
    return bytes((_FIN_PONG, len(payload))) + payload


def is_pong(data: bytes, payload: bytes, *, masked: bool) -> bool:
    """Whether `data` is one whole pong frame with this payload; masked, only without a payload."""
    if masked:
        return not payload and len(data) == 2 + MASK_BYTES and data.startswith(bytes((_FIN_PONG, _MASKED)))
    return data == pong(payload)


def is_masked(message: bytes) -> bool:
    """Whether the frame that begins with these bytes, two at least, is masked, as all frames of a client are."""
    return message[1] >= _MASKED


def close(code: int, reason: bytes = b"") -> bytes:
    """An unmasked close frame. `reason` is a text in UTF-8, of at most 123 bytes."""
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


def _random_keys() -> Iterator[bytes]:
    while True:
        # Many masking keys at once, because a system call for each would cost more than masking.
        block = os.urandom(1024)
        yield from (block[at : at + MASK_BYTES] for at in range(0, len(block), MASK_BYTES))


# Returns a masking key: four unpredictable bytes (RFC 6455, section 10.3).
random_key: Callable[[], bytes] = _random_keys().__next__


def message_head(length: int, *, masked: bool) -> bytes:
    """The first bytes of a whole binary message with `length` bytes of payload, up to a masking key."""
    head = header(length)
    return bytes((head[0], head[1] | _MASKED)) + head[2:] if masked else head


def message_size(length: int, *, masked: bool) -> int:
    """The size in bytes of a whole message with `length` bytes of payload."""
    return len(header(length)) + masked * MASK_BYTES + length


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
    start = _HEADER_SIZES.get(message[1], 2)
    head, repeat, limit, size = _masking(message[:start])
    pad = int.from_bytes(key, "little") * repeat & limit
    return head + key + (int.from_bytes(message[start:], "little") ^ pad).to_bytes(size, "little")


def payloads(messages: Sequence[bytes]) -> NDArray[np.uint8]:
    """The payloads of n whole messages, shape (n, bytes of payload).

    All messages must have the same header, of four bytes: either all or none are masked, and all payloads have the
    same size, from 126 to 65 535 bytes.
    """
    size = len(messages[0])
    if not is_masked(messages[0]):
        return np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), size)[:, HEADER_BYTES:]
    length = size - HEADER_BYTES - MASK_BYTES
    words = -(-length // _WORD)
    padding = bytes(words * _WORD - length)
    rows = np.frombuffer(padding.join(messages) + padding, np.uint32).reshape(len(messages), 2 + words)
    return (rows[:, 2:] ^ rows[:, 1:2]).view(np.uint8)[:, :length]
