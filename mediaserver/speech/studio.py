"""Where sentences are made: once, for all who say them, and kept in memory and on disk."""

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable

import structlog

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES
from mediaserver.errors import EngineError, plainly
from mediaserver.speech.spoken import Sentence, pieces
from mediaserver.speech.synthesis import Synthesiser, Voice
from mediaserver.store import Store

_PART = 250 * FRAME_SAMPLES  # samples: made into items in one turn of the loop, well under a millisecond
_OVERHEAD = 2.3  # times its PCM: what a sentence takes, its items in one encoding included

log = structlog.get_logger()


class Studio:
    """Has sentences spoken by one engine. `timeout` in seconds, `memory_limit` in bytes.

    `results` counts sentences by where they came from. `waited` is told the seconds to a sentence's first sound,
    where that had to be made.
    """

    def __init__(
        self,
        engine: Synthesiser,
        timeout: float,
        memory_limit: int,
        store: Store | None = None,
        waited: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.results = {"memory": 0, "disk": 0, "made": 0, "failed": 0}
        self._engine, self._timeout, self._limit, self._store = engine, timeout, memory_limit, store
        self._waited = waited
        self._kept: OrderedDict[str, Sentence] = OrderedDict()  # those that are being made included
        self._bytes = 0
        self._making: set[asyncio.Task[None]] = set()
        self._trouble = ""

    def sentence(self, text: str, voice: Voice) -> Sentence:
        """A sentence, at once; its sound may still be on its way."""
        key = json.dumps([self._engine.identity, voice.name, voice.rate, voice.language, text])
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            self.results["memory"] += 1
            return found
        sentence = self._kept[key] = Sentence()
        task = asyncio.get_running_loop().create_task(self._make(key, sentence, text, voice))
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        return sentence

    def warm(self) -> None:
        """Have the engine be ready."""
        self._engine.warm()

    async def close(self) -> None:
        """Make nothing more."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        await self._engine.close()

    async def _make(self, key: str, sentence: Sentence, text: str, voice: Voice) -> None:
        pcm, error = b"", "stopped"
        try:
            kept = await asyncio.to_thread(self._store.get, key) if self._store is not None else None
            if kept is not None:
                _add(sentence, kept)
            else:
                pcm = await self._speak(sentence, text, voice)
            self.results["made" if kept is None else "disk"] += 1
            error = ""
        except EngineError as failure:
            error = str(failure)
            log.warning("a sentence cannot be spoken", engine=voice.engine, why=error)
        except Exception:
            error = "the engine failed"
            log.exception("a sentence cannot be spoken", engine=voice.engine)
        finally:
            sentence.finish(error)
            if error:
                self.results["failed"] += 1
                del self._kept[key]  # who asks again may have better luck
            else:
                self._count(sentence)
        if pcm and not error:
            await self._store_away(key, pcm)

    async def _speak(self, sentence: Sentence, text: str, voice: Voice) -> bytes:
        """Have it spoken: all of its sound, which the sentence is given as it comes."""
        began, come = time.monotonic(), bytearray()
        async with contextlib.aclosing(self._engine.speak(text, voice)) as sound:
            while (pcm := await self._next(sound)) is not None:
                if pcm and not come:
                    self._waited(time.monotonic() - began)
                come += pcm
                _add(sentence, pcm)
        if not come:
            raise EngineError("no sound came of it")
        return bytes(come)

    async def _next(self, sound: AsyncGenerator[bytes, None]) -> bytes | None:
        try:
            async with asyncio.timeout(self._timeout):
                return await anext(sound, None)
        except TimeoutError:
            raise EngineError(f"no sound within {self._timeout:g} s") from None

    async def _store_away(self, key: str, pcm: bytes) -> None:
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.put, key, pcm)
        except OSError as error:
            if (trouble := plainly(error)) != self._trouble:  # once, not with every sentence
                log.warning("what was spoken is not kept on disk", why=trouble)
                self._trouble = trouble

    def _count(self, new: Sentence) -> None:
        """Count one more, and let go of the least recently used beyond the limit; who plays one has it still."""
        self._bytes += _size(new)
        for key in list(self._kept):
            if self._bytes <= self._limit:
                return
            sentence = self._kept[key]
            if sentence.over:
                self._bytes -= _size(sentence)
                del self._kept[key]


def _add(sentence: Sentence, pcm: bytes) -> None:
    for piece in pieces(pcm, _PART):
        sentence.add(piece)


def _size(sentence: Sentence) -> int:
    return int(sentence.samples * SAMPLE_BYTES * _OVERHEAD)
