"""Masks WebSocket frames as a client must send them, each with a fresh random key (RFC 6455, section 5.3).

The frames that many streams send in one tick are masked together, before the first of them is written. That takes
less than half of the time of masking each one for itself. It also keeps the caches warm: between two system calls,
Python's code for one frame takes several times as long as in a loop of its own.
"""

import asyncio
import functools
import os
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import structlog

from mediaserver.support.aiohttp_adapter import mask_payload
from mediaserver.wire.websocket import MASK_BYTES, masked_header

_HEADER_SIZES = {126: 4, 127: 10}  # size of an unmasked frame's header, by its second byte; 2 for any other
_KEYS_AT_ONCE = 256  # a system call for each key would cost more than masking
_FEW = 16  # fewer frames than these are masked faster one by one

log = structlog.get_logger()


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


class MaskedWrites:
    """Masks and writes what streams send on all connections that this server has dialled.

    From `hold` to `release`, their transports keep frames in `kept`. `release` masks these together, and writes
    them in the order in which they came.
    """

    def __init__(self) -> None:
        self.held = False  # whether frames are to be kept
        self.kept: list[tuple[asyncio.WriteTransport, bytes]] = []

    def hold(self) -> None:
        """Keep frames from now on, until `release`."""
        self.held = True

    def release(self) -> None:
        """Mask and write all frames that are kept. It does not raise."""
        self.held = False
        if not self.kept:
            return
        kept, self.kept = self.kept, []
        for (transport, _), masked in zip(kept, mask_together([frame for _, frame in kept]), strict=True):
            try:
                transport.write(masked)
            except Exception:  # a fault of one connection must not stop the others
                log.exception("write failed")
                transport.abort()


class MaskedTransport:
    """The transport of a connection that this server has dialled, as a pacer uses it. It takes unmasked frames."""

    __slots__ = ("_transport", "_writes")

    def __init__(self, transport: asyncio.WriteTransport, writes: MaskedWrites) -> None:
        self._transport, self._writes = transport, writes

    def write(self, data: bytes) -> None:
        """Send a whole unmasked frame, or keep it until all streams of the tick have made theirs.

        ConnectionResetError if the connection is closed or closing, so that the frame does not count as sent.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closing")
        writes = self._writes
        if writes.held:
            writes.kept.append((self._transport, data))
        else:
            self._transport.write(mask_with_random_key(data))

    def get_write_buffer_size(self) -> int:
        """How many bytes wait in the transport's buffer, because the peer has not read them."""
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._transport.is_closing()
