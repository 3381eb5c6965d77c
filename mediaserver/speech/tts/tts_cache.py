"""The TTS cache: each sentence is synthesised once for all calls, and kept in memory and on disk."""

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable

import structlog

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES
from mediaserver.errors import EngineError, error_text
from mediaserver.speech.tts.interface import TtsEngine, Voice
from mediaserver.speech.tts.spoken_text import SentenceAudio, split_pcm
from mediaserver.speech.tts.synthesis_queue import TRUSTED, Origin, QueueTicket, SynthesisQueue
from mediaserver.support.store import Store

# Samples of one clip. A clip is encoded in one turn of the event loop, which takes well under a millisecond.
_PART_SAMPLES = 250 * FRAME_SAMPLES
RESULTS = ("memory", "disk", "made", "failed", "dropped")  # the label values of the metric that counts sentences
_LOG_INTERVAL = 60.0  # seconds after which the same failure is logged again
_SIZE_FACTOR = 2.3  # bytes of memory per byte of a sentence's PCM, with frames in one encoding included

log = structlog.get_logger()


class TtsCache:
    """The sentences that one TTS engine has synthesised, or is synthesising, for all calls.

    The engine synthesises at most `concurrency` sentences at a time; 0 stands for any number. `timeout` is in
    seconds, `memory_limit` in bytes. `results` counts the sentences for each of `RESULTS`. A sentence is "dropped"
    if its synthesis is cancelled before the sentence is complete. `on_first_audio` is called for each newly
    synthesised sentence, with the seconds that its first audio took.
    """

    def __init__(
        self,
        engine: TtsEngine,
        timeout: float,
        memory_limit: int,
        store: Store | None = None,
        on_first_audio: Callable[[float], None] = lambda seconds: None,
        concurrency: int = 0,
    ) -> None:
        self.results = dict.fromkeys(RESULTS, 0)
        self._engine, self._timeout, self._memory_limit, self._store = engine, timeout, memory_limit, store
        self._on_first_audio = on_first_audio
        self._sentences: OrderedDict[str, SentenceAudio] = OrderedDict()  # by key, also sentences in synthesis
        self._bytes = 0  # bytes of memory that complete sentences take
        self._tasks: dict[SentenceAudio, asyncio.Task[None]] = {}
        self._queue = SynthesisQueue(concurrency)
        self._tickets: dict[SentenceAudio, QueueTicket] = {}
        self._store_error = ""  # the last error of the store that was logged
        self._logged_failure = ("", 0.0)  # the last failure that was logged, and when

    def get_or_synthesise(self, text: str, voice: Voice, origin: Origin = TRUSTED) -> SentenceAudio:
        """A sentence's audio, which may still be in synthesis. `origin` decides its turn in the queue."""
        key = json.dumps([self._engine.identity, voice.name, voice.rate, voice.language, text])
        found = self._sentences.get(key)
        if found is not None:
            self._sentences.move_to_end(key)
            self.results["memory"] += 1
            if found in self._tickets:
                self._queue.promote(self._tickets[found], origin)
            return found
        loop = asyncio.get_running_loop()
        # The loop calls `_cancel_if_abandoned`, because garbage collection may release a sentence in any thread at
        # any time.
        sentence = SentenceAudio(lambda: loop.call_soon_threadsafe(self._cancel_if_abandoned, key))
        self._sentences[key] = sentence
        self._tickets[sentence] = QueueTicket(origin)
        task = self._tasks[sentence] = loop.create_task(self._load_or_synthesise(key, sentence, text, voice))
        task.add_done_callback(lambda task: self._forget_task(sentence))
        return sentence

    def _forget_task(self, sentence: SentenceAudio) -> None:
        del self._tasks[sentence], self._tickets[sentence]

    def preload(self) -> None:
        """Start the TTS engine ahead of the first sentence."""
        self._engine.preload()

    @property
    def not_ready_reason(self) -> str:
        """Why the TTS engine is not ready yet; "" if it is ready."""
        return self._engine.not_ready_reason

    async def close(self) -> None:
        """Cancel incomplete sentences, save complete sentences to disk, and close the TTS engine."""
        tasks = dict(self._tasks)
        for sentence, task in tasks.items():
            if not sentence.complete:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await self._engine.close()

    def _cancel_if_abandoned(self, key: str) -> None:
        """Cancel the synthesis of a sentence that no text uses any more, so that waiting sentences come sooner."""
        sentence = self._sentences.get(key)
        if sentence is not None and not sentence.complete and not sentence.users:
            del self._sentences[key]
            self._tasks[sentence].cancel()

    async def _load_or_synthesise(self, key: str, sentence: SentenceAudio, text: str, voice: Voice) -> None:
        pcm, error, result = b"", "stopped", "dropped"
        try:
            stored = await asyncio.to_thread(self._store.get, key) if self._store is not None else None
            if stored is not None:
                _append_parts(sentence, stored)
            else:
                pcm = await self._synthesise(sentence, text, voice)
            error, result = "", "made" if stored is None else "disk"
        except EngineError as failure:
            error, result = str(failure), "failed"
            self._log_failure(voice.engine, error)
        except Exception:
            error, result = "the engine failed", "failed"
            log.exception("a sentence cannot be spoken", engine=voice.engine)
        finally:
            sentence.finish(error)
            self.results[result] += 1
            if not error:
                self._add_and_evict(sentence)
            elif self._sentences.get(key) is sentence:
                del self._sentences[key]  # so that the sentence is tried again for the next call that needs it
        if pcm and not error:
            await self._save(key, pcm)

    async def _synthesise(self, sentence: SentenceAudio, text: str, voice: Voice) -> bytes:
        """Have the engine speak a sentence: append each piece of PCM to it at once, and return all of the PCM."""
        began, received = time.monotonic(), bytearray()
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._timeout):
                    await stack.enter_async_context(self._queue.slot(self._tickets[sentence]))
            except TimeoutError:
                raise EngineError(f"no sound within {self._timeout:g} s: others are spoken first") from None
            audio = await stack.enter_async_context(contextlib.aclosing(self._engine.synthesise(text, voice)))
            # The wait in the queue has used up a part of the time-out for the first audio.
            first_timeout = began + self._timeout - time.monotonic()
            while (pcm := await self._next(audio, self._timeout if received else first_timeout)) is not None:
                if pcm and not received:
                    self._on_first_audio(time.monotonic() - began)
                received += pcm
                _append_parts(sentence, pcm)
        if not received:
            raise EngineError("the engine gave no sound")
        return bytes(received)

    async def _next(self, audio: AsyncGenerator[bytes, None], timeout: float) -> bytes | None:
        """The next piece of an engine's PCM, None at its end. Raises EngineError after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await anext(audio, None)
        except TimeoutError:
            raise EngineError(f"no sound within {self._timeout:g} s") from None

    def _log_failure(self, engine: str, why: str) -> None:
        """Log why a sentence failed, the same reason at most once a minute; `results` counts every failure."""
        logged, at = self._logged_failure
        if why != logged or time.monotonic() - at > _LOG_INTERVAL:
            log.warning("a sentence cannot be spoken", engine=engine, why=why)
            self._logged_failure = why, time.monotonic()

    async def _save(self, key: str, pcm: bytes) -> None:
        """Save a sentence's PCM to disk. A failure to save is logged when its reason changes; calls go on."""
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.put, key, pcm)
        except OSError as error:
            if (reason := error_text(error)) != self._store_error:
                log.warning("what was spoken is not kept on disk", why=reason)
                self._store_error = reason

    def _add_and_evict(self, new: SentenceAudio) -> None:
        """Count a new sentence's memory. Beyond the memory limit, drop the least recently used sentences.

        A call that is playing a dropped sentence keeps its audio.
        """
        self._bytes += _memory_size(new)
        for key in list(self._sentences):
            if self._bytes <= self._memory_limit:
                return
            sentence = self._sentences[key]
            if sentence.complete:
                self._bytes -= _memory_size(sentence)
                del self._sentences[key]


def _append_parts(sentence: SentenceAudio, pcm: bytes) -> None:
    for piece in split_pcm(pcm, _PART_SAMPLES):
        sentence.append_pcm(piece)


def _memory_size(sentence: SentenceAudio) -> int:
    return int(sentence.samples * SAMPLE_BYTES * _SIZE_FACTOR)
