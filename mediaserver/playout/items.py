"""A run of sound made ready for the wire: one item a frame, in one encoding."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES
from mediaserver.wire.encapsulation import PCM, Encoding

_OBJECT_BYTES = 33 + 8  # a bytes object's own header, and its place in a list
_BLOCK = 250  # frames made between two turns of the loop: well under a millisecond


@dataclass(frozen=True, slots=True)
class Items:
    """Items of `samples` samples; the last frame is padded with silence."""

    items: Sequence[bytes]
    samples: int

    @property
    def size(self) -> int:
        """Bytes of memory, the interpreter's share included."""
        return len(self.items) * (len(self.items[0]) + _OBJECT_BYTES) if self.items else 0


class _Recoded(Sequence[bytes]):
    """Items of one encoding seen in another, each made when it is asked for."""

    def __init__(self, items: Sequence[bytes], encoding: Encoding, base: Encoding) -> None:
        self._items, self._encoding, self._base = items, encoding, base

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return _Recoded(self._items[index], self._encoding, self._base)
        return self._encoding.encode(self._base.decode(self._items[index]))

    def __iter__(self) -> Iterator[bytes]:
        return map(self._encoding.encode, map(self._base.decode, self._items))


def recoded(items: Items, encoding: Encoding, base: Encoding = PCM) -> Items:
    """Items of one encoding as another's, at once, at the cost of encoding each frame when it is played."""
    return Items(_Recoded(items.items, encoding, base), items.samples)


async def recode(base: Items, encoding: Encoding) -> Items:
    """PCM items as another encoding's, ready-made."""
    blocks = (base.items[at : at + _BLOCK] for at in range(0, len(base.items), _BLOCK))
    return await _make((b"".join(map(PCM.decode, block)) for block in blocks), base.samples, encoding)


async def encode(pcm: bytes, encoding: Encoding) -> Items:
    """Items of any length of PCM. Gives the loop its turn often: streams play meanwhile."""
    step = _BLOCK * FRAME_BYTES
    blocks = (pcm[at : at + step] for at in range(0, len(pcm), step))
    return await _make(blocks, len(pcm) // SAMPLE_BYTES, encoding)


async def _make(blocks: Iterator[bytes], samples: int, encoding: Encoding) -> Items:
    items: list[bytes] = []
    for block in blocks:
        items += encoding.packetize(block)
        await asyncio.sleep(0)
    return Items(items, samples)
