"""The TTS cache: each sentence is synthesised once for all calls, and kept in memory and on disk."""

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES
from mediaserver.errors import EngineError, error_text
from mediaserver.speech.engines.failover import Attempt, Failover, is_ready
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SentenceAudio, split_pcm
from mediaserver.speech.tts.synthesis_queue import TRUSTED, Origin
from mediaserver.speech.tts.synthesiser import Synthesiser, SynthesisJob
from mediaserver.speech.tts.text_levels import SentenceLeveller, TextLevels
from mediaserver.support.store import Store

# The number of samples in one clip (5 s). Encoding a clip blocks the event loop for well under a millisecond.
_PART_SAMPLES = 250 * FRAME_SAMPLES
RESULTS = ("memory", "disk", "made", "failed", "dropped")  # the label values of the metric that counts sentences
_LOG_INTERVAL = 60.0  # the time in seconds after which the same failure is logged again
# The memory in bytes that a sentence takes for each byte of its PCM: for the PCM, and for its frames in one
# encoding.
_SIZE_FACTOR = 2.3

log = structlog.get_logger()


class _Found(NamedTuple):
    """The source of a complete sentence: the memory, the disk or an engine."""

    key: str  # the sentence's key in the cache, which names the engine that has spoken it
    result: str  # where the sentence came from, one of `RESULTS`
    leveller: SentenceLeveller | None = None  # what has levelled a new sentence; None for one from the cache


class TtsCache:
    """The sentences that the TTS engines of one server have synthesised, or are synthesising, for all calls.

    A sentence's key names the engine and the voice that have spoken it. If the first engine failed and another one
    spoke a sentence, the first engine is therefore asked again when the sentence is next needed.

    Sentences in memory are at the level of `loudness`, in dBov as of `prompts.loudness`; None keeps the engines'
    levels. On disk they are as the engines gave them, so that another level does not have them spoken again.

    `synthesiser` returns the synthesiser of an engine by the engine's name. `timeout` is in seconds,
    `memory_limit` in bytes. `results` counts the sentences for each of `RESULTS`. A sentence is "dropped" if its
    synthesis is cancelled before the sentence is complete. `on_first_audio` is called for each newly synthesised
    sentence, with the seconds that its first audio took.
    """

    def __init__(
        self,
        synthesiser: Callable[[str], Synthesiser],
        failover: Failover,
        timeout: float,
        memory_limit: int,
        store: Store | None = None,
        on_first_audio: Callable[[float], None] = lambda seconds: None,
        loudness: float | None = None,
    ) -> None:
        self.results = dict.fromkeys(RESULTS, 0)
        self._synthesiser, self._failover = synthesiser, failover
        self._timeout, self._memory_limit, self._store = timeout, memory_limit, store
        self._on_first_audio, self._levels = on_first_audio, TextLevels(loudness)
        # The sentences by cache key. While a sentence is being synthesised, its key names all engines that may
        # speak it.
        self._sentences: OrderedDict[str, SentenceAudio] = OrderedDict()
        self._bytes = 0  # the memory in bytes that complete sentences take
        self._tasks: dict[SentenceAudio, asyncio.Task[None]] = {}
        self._jobs: dict[SentenceAudio, SynthesisJob] = {}
        self._store_error = ""  # the last error of the disk cache that was logged
        self._logged_failure = ("", 0.0)  # the last failure that was logged, and its time in seconds

    def get_or_synthesise(self, text: str, voice: Voice, origin: Origin = TRUSTED) -> SentenceAudio:
        """A sentence's audio, which may still be in synthesis. `origin` decides its place in an engine's queue.

        A sentence that the first engine has spoken before is used even while the first engine fails.
        """
        voices = voice.in_order
        key = "\n".join(self._key(text, each) for each in voices)
        found = self._find(text, voices, key)
        if found is not None:
            self.results["memory"] += 1
            if found in self._jobs:
                self._jobs[found].promote(origin)
            return found
        loop = asyncio.get_running_loop()
        # Garbage collection may release a sentence in any thread at any time. Therefore only the event loop calls
        # `_cancel_if_abandoned`.
        sentence = SentenceAudio(lambda: loop.call_soon_threadsafe(self._cancel_if_abandoned, key))
        self._sentences[key] = sentence
        self._jobs[sentence] = SynthesisJob(origin)
        task = self._tasks[sentence] = loop.create_task(self._load_or_synthesise(key, sentence, text, voices))
        task.add_done_callback(lambda task: self._forget_task(sentence))
        return sentence

    def _key(self, text: str, voice: Voice) -> str:
        identity = self._synthesiser(voice.engine).engine.identity
        return json.dumps([identity, voice.name, voice.rate, voice.language, text])

    def _find(self, text: str, voices: Sequence[Voice], key: str) -> SentenceAudio | None:
        """The sentence, if it is in memory: in synthesis, or spoken by the first engine or first usable one."""
        first = next((voice for voice in voices if self._failover.may_try(voice.engine)), voices[0])
        for each in dict.fromkeys([key, *(self._key(text, voice) for voice in (voices[0], first))]):
            found = self._sentences.get(each)
            if found is not None and (found.complete or each == key):
                self._sentences.move_to_end(each)
                return found
        return None

    def _forget_task(self, sentence: SentenceAudio) -> None:
        del self._tasks[sentence], self._jobs[sentence]

    async def close(self) -> None:
        """Cancel the synthesis of incomplete sentences, and wait until complete sentences are saved to disk."""
        tasks = dict(self._tasks)
        for sentence, task in tasks.items():
            if not sentence.complete:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _cancel_if_abandoned(self, key: str) -> None:
        """Cancel the synthesis of a sentence that no text uses any more, so that waiting sentences come sooner."""
        sentence = self._sentences.get(key)
        if sentence is not None and not sentence.complete and not sentence.users:
            del self._sentences[key]
            self._tasks[sentence].cancel()

    async def _load_or_synthesise(
        self, key: str, sentence: SentenceAudio, text: str, voices: Sequence[Voice]
    ) -> None:
        found, error, result = _Found("", "dropped"), "stopped", "dropped"
        engines = ", ".join(voice.engine for voice in voices)
        try:
            found = await self._obtain(sentence, text, voices)
            error, result = "", found.result
        except EngineError as failure:
            error, result = str(failure), "failed"
            self._log_failure(engines, error)
        except Exception:
            error, result = "the engine failed", "failed"
            log.exception("synthesis failed", engine=engines)
        finally:
            sentence.finish(error)
            self.results[result] += 1
            if self._sentences.get(key) is sentence:
                del self._sentences[key]  # a failed sentence is tried again for the next call that needs it
            if not error and found.key not in self._sentences:
                self._add_and_evict(found.key, sentence.without_broken_start())
        if found.leveller is not None and not error:
            if (levelled := await found.leveller.finish()) is not None:
                self._replace(found.key, levelled)
            await self._save(found.key, found.leveller.received)

    async def _obtain(self, sentence: SentenceAudio, text: str, voices: Sequence[Voice]) -> "_Found":
        """Fill in a sentence's audio from the cache or an engine. Raises EngineError if no engine succeeds."""
        keys = {voice.engine: self._key(text, voice) for voice in voices}
        by_name = {voice.engine: voice for voice in voices}
        began, first = time.monotonic(), voices[0].engine
        if result := await self._fill_from_cache(sentence, keys[first]):
            return _Found(keys[first], result)
        attempts = self._failover.attempts(
            tuple(keys), self._timeout, lambda engine: is_ready(self._synthesiser(engine).engine)
        )
        for attempt in attempts:
            key = keys[attempt.engine]
            if attempt.engine != first and (result := await self._fill_from_cache(sentence, key)):
                return _Found(key, result)
            with attempt:
                leveller = await self._synthesise(sentence, text, by_name[attempt.engine], attempt, began)
                return _Found(key, "made", leveller)
        raise attempts.failure()

    async def _fill_from_cache(self, sentence: SentenceAudio, key: str) -> str:
        """Give a sentence its audio from the cache. Returns where it was: "memory", "disk", or "" for nowhere."""
        kept = self._sentences.get(key)
        if kept is not None and kept.complete:
            pcm, result = b"".join(clip.pcm for clip in kept.clips), "memory"
        elif self._store is not None and (stored := await asyncio.to_thread(self._store.get, key)) is not None:
            pcm, result = await self._levels.level(stored), "disk"
        else:
            return ""
        sentence.restart()
        _append_parts(sentence, pcm)
        return result

    async def _synthesise(
        self, sentence: SentenceAudio, text: str, voice: Voice, attempt: Attempt, began: float
    ) -> SentenceLeveller:
        """Have an engine speak a sentence: append each piece of PCM at its level; return what has levelled it."""
        synthesiser, job = self._synthesiser(voice.engine), self._jobs[sentence]
        leveller = self._levels.begin_sentence(f"{synthesiser.engine.identity}\n{voice.name}")
        sentence.restart()
        async with contextlib.aclosing(synthesiser.synthesise(text, voice, job, attempt)) as audio:
            async for pcm in audio:
                self._append(sentence, await leveller.feed(pcm), began)
        self._append(sentence, await leveller.flush(), began)
        return leveller

    def _append(self, sentence: SentenceAudio, pcm: bytes, began: float) -> None:
        """Append PCM to a new sentence, whose synthesis began at the time `began`."""
        if pcm and not sentence.clips:
            self._on_first_audio(time.monotonic() - began)
        _append_parts(sentence, pcm)

    def _log_failure(self, engine: str, why: str) -> None:
        """Log why a sentence failed: the same reason at most once a minute. `results` counts every failure."""
        logged, at = self._logged_failure
        if why != logged or time.monotonic() - at > _LOG_INTERVAL:
            log.warning("synthesis failed", engine=engine, why=why)
            self._logged_failure = why, time.monotonic()

    async def _save(self, key: str, pcm: bytes) -> None:
        """Save a sentence's PCM to disk. A failure to save is logged when its reason changes; calls go on."""
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.put, key, pcm)
        except OSError as error:
            if (reason := error_text(error)) != self._store_error:
                log.warning("speech cache write failed", why=reason)
                self._store_error = reason

    def _replace(self, key: str, pcm: bytes) -> None:
        """Replace a complete sentence's audio by the same sentence at its own level, for the calls to come."""
        if (kept := self._sentences.get(key)) is not None and kept.complete:
            self._sentences[key] = levelled = SentenceAudio()
            _append_parts(levelled, pcm)
            levelled.finish()

    def _add_and_evict(self, key: str, new: SentenceAudio) -> None:
        """Keep a complete sentence. Beyond the memory limit, drop the least recently used sentences.

        A call that is playing a dropped sentence keeps its audio.
        """
        self._sentences[key] = new
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
