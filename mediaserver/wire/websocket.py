"""WebSocket framing (RFC 6455): each frame of media as one unfragmented message, and control frames.

WebSocket frames from server to client are unmasked, so the message of a cached frame is the same bytes for every
peer. Frames from client to server are masked (RFC 6455, section 5.3): see `transport.masking`.
"""

import base64
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FIN_TEXT, _FIN_BINARY, _FIN_CLOSE, _FIN_PING, _FIN_PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_MASKED = 0x80
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


def masked_header(unmasked: bytes) -> bytes:
    """The header of a masked frame, up to its key, from that of the unmasked frame."""
    return bytes((unmasked[0], unmasked[1] | _MASKED)) + unmasked[2:]


def message_head(length: int, *, masked: bool) -> bytes:
    """The first bytes of a whole binary message with `length` bytes of payload, up to a masking key."""
    head = header(length)
    return masked_header(head) if masked else head


def message_size(length: int, *, masked: bool) -> int:
    """The size in bytes of a whole message with `length` bytes of payload."""
    return len(header(length)) + masked * MASK_BYTES + length


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
