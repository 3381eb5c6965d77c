"""Masks WebSocket frames as a client must send them, each with a fresh random key (RFC 6455, section 5.3)."""

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
    """Frames of one size, and so with headers of one size, masked."""
    count, size, start = len(frames), len(frames[0]), _HEADER_SIZES.get(frames[0][1], 2)
    plain = np.frombuffer(b"".join(frames), np.uint8).reshape(count, size)
    keys = np.frombuffer(os.urandom(count * MASK_BYTES), np.uint8).reshape(count, MASK_BYTES)
    repeated = np.tile(keys, (1, -(-(size - start) // MASK_BYTES)))[:, : size - start]
    masked = np.empty((count, size + MASK_BYTES), np.uint8)
    masked[:, :start] = plain[:, :start]
    masked[:, 1] |= 0x80  # the bit that says that the frame is masked
    masked[:, start : start + MASK_BYTES] = keys
    np.bitwise_xor(plain[:, start:], repeated, out=masked[:, start + MASK_BYTES :])
    data, step = masked.tobytes(), size + MASK_BYTES
    return [data[at : at + step] for at in range(0, len(data), step)]
