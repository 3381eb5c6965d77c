"""A run of sound made ready for the wire: one item a frame, in one encoding."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES
from mediaserver.wire.encapsulation import PCM, Encoding

_OBJECT_BYTES = 33 + 8  # a bytes object's own header, and its place in a list
_FRAMES = 250
BLOCK = _FRAMES * FRAME_BYTES  # of PCM, made into items between two turns of the loop: well under a millisecond


@dataclass(frozen=True, slots=True)
class Items:
    """Items of `samples` samples; the last frame is padded with silence.

    Where they are kept they are a tuple: garbage collection looks through a long list again and again.
    """

    items: Sequence[bytes]
    samples: int

    @property
    def size(self) -> int:
        """Bytes of memory, the interpreter's share included."""
        return len(self.items) * (len(self.items[0]) + _OBJECT_BYTES) if self.items else 0


class Making:
    """Makes items of PCM while it comes, in several encodings at once."""

    def __init__(self, encodings: Iterable[Encoding]) -> None:
        self._made: list[tuple[Encoding, list[bytes]]] = [(encoding, []) for encoding in encodings]
        self.samples = 0

    async def take(self, pcm: bytes) -> None:
        """The next PCM: whole frames but for the last, and no more than a `BLOCK`. Streams play meanwhile."""
        self.samples += len(pcm) // SAMPLE_BYTES
        for encoding, items in self._made:
            items += encoding.packetize(pcm)
            await asyncio.sleep(0)

    @property
    def items(self) -> Mapping[str, Items]:
        """What is made so far, by encoding."""
        return {encoding.name: Items(tuple(items), self.samples) for encoding, items in self._made}


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
    making = Making((encoding,))
    for at in range(0, len(base.items), _FRAMES):
        await making.take(b"".join(map(PCM.decode, base.items[at : at + _FRAMES])))
    return Items(making.items[encoding.name].items, base.samples)


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A sound file that is no prompt, to be played once or twice: its PCM items, seen in any encoding."""

    pcm: Items

    @property
    def samples(self) -> int:
        """Its length."""
        return self.pcm.samples

    def open(self, encoding: Encoding) -> Items:
        """Its items."""
        return self.pcm if encoding is PCM else recoded(self.pcm, encoding)
