"""Masks WebSocket frames as a client must send them, each with a fresh random key (RFC 6455, section 5.3)."""

import functools
import os
from collections.abc import Callable
from itertools import chain

from mediaserver.support.aiohttp_adapter import mask_payload
from mediaserver.wire.websocket import MASK_BYTES, masked_header

_HEADER_SIZES = {126: 4, 127: 10}  # size of an unmasked frame's header, by its second byte; 2 for any other
_KEYS_AT_ONCE = 256  # a system call for each key would cost more than masking


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
