"""Masks WebSocket frames as a client must send them, each with a fresh random key (RFC 6455, section 5.3).

The frames that many streams send in one tick are masked together, in less than half of the time that it takes to
mask each one for itself.
"""

import asyncio
import functools
import os
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from mediaserver.support.aiohttp_adapter import mask_payload
from mediaserver.wire.websocket import MASK_BYTES, masked_header

_HEADER_SIZES = {126: 4, 127: 10}  # size of an unmasked frame's header, by its second byte; 2 for any other
_KEYS_AT_ONCE = 256  # a system call for each key would cost more than masking
_FEW = 16  # fewer frames than these are masked faster one by one
_WORD = 4  # number of bytes that are masked in one operation: a key, or a header of 126 bytes of payload and more
_MASK_BIT = np.frombuffer(masked_header(bytes(_WORD)), np.uint32)  # as it stands in the first word of a frame


def _random_keys() -> list[bytes]:
    block = os.urandom(_KEYS_AT_ONCE * MASK_BYTES)
    return [block[at : at + MASK_BYTES] for at in range(0, len(block), MASK_BYTES)]


# Returns a masking key: four unpredictable bytes (RFC 6455, section 10.3).
_random_key: Callable[[], bytes] = chain.from_iterable(iter(_random_keys, [])).__next__


_masked_header = functools.lru_cache(maxsize=64)(masked_header)


def mask(frame: bytes, key: bytes) -> bytes:
    """A whole unmasked frame, masked with the four bytes of `key`."""
    start = _HEADER_SIZES.get(frame[1], 2)
    payload = bytearray(frame[start:])
    mask_payload(key, payload)
    return _masked_header(frame[:start]) + key + payload


def mask_with_random_key(frame: bytes) -> bytes:
    """A whole unmasked frame, masked with a fresh random key."""
    return mask(frame, _random_key())


def mask_together(frames: Sequence[bytes]) -> Sequence[bytes]:
    """Whole unmasked frames, each masked with a fresh random key."""
    if len(frames) < _FEW:
        return [mask_with_random_key(frame) for frame in frames]
    sizes = list(map(len, frames))
    if sizes.count(sizes[0]) == len(sizes):
        return _mask_alike(frames)
    masked = list(frames)
    for size in set(sizes):
        rows = [n for n, each in enumerate(sizes) if each == size]
        for n, frame in zip(rows, _mask_alike([frames[n] for n in rows]), strict=True):
            masked[n] = frame
    return masked


def _mask_alike(frames: Sequence[bytes]) -> Sequence[bytes]:
    """Frames of one size, and so with headers of one size, masked, in words of four bytes."""
    if _HEADER_SIZES.get(frames[0][1]) != _WORD:
        return [mask_with_random_key(frame) for frame in frames]  # no frame of media: it is too short or too long
    size = len(frames[0])
    words = -(-size // _WORD)
    padding = bytes(words * _WORD - size)
    plain = np.frombuffer(padding.join(frames) + padding, np.uint32).reshape(len(frames), words)
    keys = np.frombuffer(os.urandom(len(frames) * MASK_BYTES), np.uint32)[:, np.newaxis]
    masked = np.empty((len(frames), words + 1), np.uint32)
    masked[:, :1] = plain[:, :1] | _MASK_BIT
    masked[:, 1:2] = keys
    np.bitwise_xor(plain[:, 1:], keys, out=masked[:, 2:])
    data, step, length = masked.tobytes(), (words + 1) * _WORD, size + MASK_BYTES
    return [data[at : at + length] for at in range(0, len(data), step)]


class MaskedTransport:
    """The transport of a connection that this server has dialled, as a pacer uses it. It takes unmasked frames."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send a whole unmasked frame. b"" is no frame.

        ConnectionResetError if the connection is closed or closing, so that the frame does not count as sent.
        """
        self.write_masked(mask_with_random_key(data) if data else data)

    def write_masked(self, data: bytes) -> None:
        """Send a whole masked frame; see `write`."""
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closing")
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """How many bytes wait in the transport's buffer, because the peer has not read them."""
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._transport.is_closing()
