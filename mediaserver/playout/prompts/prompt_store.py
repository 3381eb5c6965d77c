"""Prompts' items: kept ready-made for as long as memory allows, or made when they are asked for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediaserver.playout.decoding.pool import DecodePool, Description
from mediaserver.playout.prompts.cache import ItemCache
from mediaserver.playout.prompts.encoded_frames import Items, Making, recode, recoded
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, Encoding

ENCODINGS = {encoding.name: encoding for encoding in (PCM, MESSAGE, L16, PCMU, PCMA)}  # the lossless first


@dataclass(eq=False, slots=True, weakref_slot=True)
class Prompt:
    """One playable file, as it was when it was decoded. `open` gives its items, at once or soon.

    They are in the stock's cache until the file changes, and from then on `kept` here: for exactly as long as
    somebody plays them.
    """

    name: str
    path: Path
    samples: int
    about: Description
    stock: "Stock" = field(repr=False)
    kept: dict[str, Items] | None = field(default=None, repr=False)  # by encoding

    def open(self, encoding: Encoding) -> "Items | asyncio.Future[Items]":
        """Its items in an encoding; where they must be decoded again first, a future that all who ask share."""
        return self.stock.open(self, encoding)


class Stock:
    """The items of all prompts, under a limit of memory in bytes."""

    def __init__(self, memory_limit: int, pool: DecodePool) -> None:
        self.cache: ItemCache[Items] = ItemCache(memory_limit)
        self._pool = pool
        self._building: dict[tuple[Prompt, str], asyncio.Future[Items]] = {}

    def open(self, prompt: Prompt, encoding: Encoding) -> Items | asyncio.Future[Items]:
        """A prompt's items: ready-made, made on the fly from other ones, or after decoding again."""
        entry = self._ready_made(prompt, encoding)
        if entry is not None:
            return entry
        building = self._building.get((prompt, encoding.name))
        if building is None:
            building = self._build(prompt, encoding)
        base = self._base(prompt)
        return recoded(base, encoding) if base is not None else building

    def put(self, prompt: Prompt, made: Mapping[str, Items]) -> None:
        """Keep what is made of a prompt, by encoding."""
        for name, items in made.items():
            self.cache.put((prompt, name), items)

    def leave(self, prompt: Prompt) -> Mapping[str, Items]:
        """What is ready-made of a prompt, from now on kept by itself: its streams play it to their ends.

        Where memory was too small for it, there is nothing left to keep, and its name may be another sound's.
        """
        if prompt.kept is None:
            found = {name: self.cache.drop((prompt, name)) for name in ENCODINGS}
            prompt.kept = {name: items for name, items in found.items() if items is not None}
        return prompt.kept

    def _ready_made(self, prompt: Prompt, encoding: Encoding) -> Items | None:
        if prompt.kept is not None:
            return prompt.kept.get(encoding.name)
        return self.cache.get((prompt, encoding.name))

    def _base(self, prompt: Prompt) -> Items | None:
        """Its PCM, as good as it can be had without its file, where that may be another's by now."""
        if prompt.kept is None:
            return self.cache.get((prompt, PCM.name))
        for name, encoding in ENCODINGS.items():
            if name in prompt.kept:
                return prompt.kept[name] if encoding is PCM else recoded(prompt.kept[name], PCM, encoding)
        return None

    def _build(self, prompt: Prompt, encoding: Encoding) -> asyncio.Future[Items]:
        key = (prompt, encoding.name)
        task = asyncio.get_running_loop().create_task(self._make(prompt, encoding))
        self._building[key] = task

        def finished(task: asyncio.Future[Items]) -> None:
            del self._building[key]
            if not task.cancelled():
                task.exception()  # whoever waits for it is told; nobody else need be

        task.add_done_callback(finished)
        return task

    async def _make(self, prompt: Prompt, encoding: Encoding) -> Items:
        base = self._base(prompt)
        if base is not None:
            entry = await recode(base, encoding)
        else:
            _, making = await self._pool.decode(prompt.path, lambda: Making((encoding,)))
            entry = making.items[encoding.name]
        if prompt.kept is not None:  # by now, perhaps
            prompt.kept[encoding.name] = entry
        else:
            self.cache.put((prompt, encoding.name), entry)
        return entry
