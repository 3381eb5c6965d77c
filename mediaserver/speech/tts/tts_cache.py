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
from mediaserver.speech.tts.interface import Synthesiser, Voice
from mediaserver.speech.tts.priority import OURS, Origin, Turn, Turns
from mediaserver.speech.tts.spoken_text import Sentence, pieces
from mediaserver.support.store import Store

_PART = 250 * FRAME_SAMPLES  # samples: made into items in one turn of the loop, well under a millisecond
RESULTS = ("memory", "disk", "made", "failed", "dropped")
_TOLD = 60.0  # seconds after which the same trouble is logged again
_OVERHEAD = 2.3  # times its PCM: what a sentence takes, its items in one encoding included

log = structlog.get_logger()


class Studio:
    """Has sentences spoken by one engine, `size` at a time. `timeout` in seconds, `memory_limit` in bytes.

    `results` counts sentences by where they came from; `dropped` are those that nobody waited for any more before
    they were there. `waited` is told the seconds to a sentence's first sound, where that had to be made.
    """

    def __init__(
        self,
        engine: Synthesiser,
        timeout: float,
        memory_limit: int,
        store: Store | None = None,
        waited: Callable[[float], None] = lambda seconds: None,
        size: int = 0,
    ) -> None:
        self.results = dict.fromkeys(RESULTS, 0)
        self._engine, self._timeout, self._limit, self._store = engine, timeout, memory_limit, store
        self._waited = waited
        self._kept: OrderedDict[str, Sentence] = OrderedDict()  # those that are being made included
        self._bytes = 0
        self._making: dict[Sentence, asyncio.Task[None]] = {}
        self._turns = Turns(size)
        self._turn_of: dict[Sentence, Turn] = {}
        self._trouble = ""
        self._told = ("", 0.0)  # why sentences cannot be spoken, and when that was logged

    def sentence(self, text: str, voice: Voice, origin: Origin = OURS) -> Sentence:
        """A sentence, at once; its sound may still be on its way. The `origin` decides when its turn is."""
        key = json.dumps([self._engine.identity, voice.name, voice.rate, voice.language, text])
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            self.results["memory"] += 1
            if found in self._turn_of:
                self._turns.promote(self._turn_of[found], origin)
            return found
        loop = asyncio.get_running_loop()
        # Not at once: garbage collection may find that out, in whatever thread.
        sentence = Sentence(lambda: loop.call_soon_threadsafe(self._give_up, key))
        self._kept[key] = sentence
        self._turn_of[sentence] = Turn(origin)
        task = self._making[sentence] = loop.create_task(self._make(key, sentence, text, voice))
        task.add_done_callback(lambda task: self._forget(sentence))
        return sentence

    def _forget(self, sentence: Sentence) -> None:
        del self._making[sentence], self._turn_of[sentence]

    def warm(self) -> None:
        """Have the engine be ready."""
        self._engine.warm()

    @property
    def why_not_ready(self) -> str:
        """Why the engine is not."""
        return self._engine.why_not_ready

    async def close(self) -> None:
        """Make nothing more; what is made is kept."""
        making = dict(self._making)
        for sentence, task in making.items():
            if not sentence.over:
                task.cancel()
        await asyncio.gather(*making.values(), return_exceptions=True)
        await self._engine.close()

    def _give_up(self, key: str) -> None:
        """Do not make a sentence that nobody waits for: others wait in the queue behind it."""
        sentence = self._kept.get(key)
        if sentence is not None and not sentence.over and not sentence.wanted:
            del self._kept[key]
            self._making[sentence].cancel()

    async def _make(self, key: str, sentence: Sentence, text: str, voice: Voice) -> None:
        pcm, error, result = b"", "stopped", "dropped"
        try:
            kept = await asyncio.to_thread(self._store.get, key) if self._store is not None else None
            if kept is not None:
                _add(sentence, kept)
            else:
                pcm = await self._speak(sentence, text, voice)
            error, result = "", "made" if kept is None else "disk"
        except EngineError as failure:
            error, result = str(failure), "failed"
            self._tell(voice.engine, error)
        except Exception:
            error, result = "the engine failed", "failed"
            log.exception("a sentence cannot be spoken", engine=voice.engine)
        finally:
            sentence.finish(error)
            self.results[result] += 1
            if not error:
                self._count(sentence)
            elif self._kept.get(key) is sentence:
                del self._kept[key]  # who asks again may have better luck
        if pcm and not error:
            await self._store_away(key, pcm)

    async def _speak(self, sentence: Sentence, text: str, voice: Voice) -> bytes:
        """Have it spoken: all of its sound, which the sentence is given as it comes."""
        began, come = time.monotonic(), bytearray()
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._timeout):
                    await stack.enter_async_context(self._turns.taken(self._turn_of[sentence]))
            except TimeoutError:
                raise EngineError(f"no sound within {self._timeout:g} s: others are spoken first") from None
            sound = await stack.enter_async_context(contextlib.aclosing(self._engine.speak(text, voice)))
            left = began + self._timeout - time.monotonic()  # of what the first sound may take
            while (pcm := await self._next(sound, self._timeout if come else left)) is not None:
                if pcm and not come:
                    self._waited(time.monotonic() - began)
                come += pcm
                _add(sentence, pcm)
        if not come:
            raise EngineError("no sound came of it")
        return bytes(come)

    async def _next(self, sound: AsyncGenerator[bytes, None], timeout: float) -> bytes | None:
        try:
            async with asyncio.timeout(timeout):
                return await anext(sound, None)
        except TimeoutError:
            raise EngineError(f"no sound within {self._timeout:g} s") from None

    def _tell(self, engine: str, why: str) -> None:
        """Log it, but not for every caller of a night: the event and the count of failed sentences are theirs."""
        told, at = self._told
        if why != told or time.monotonic() - at > _TOLD:
            log.warning("a sentence cannot be spoken", engine=engine, why=why)
            self._told = why, time.monotonic()

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
