"""The speech engines (TTS, STT and LLM) of one server, which all of its calls share."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.engines.table import STT_ENGINES, TTS_ENGINES
from mediaserver.speech.llm.chat import ChatClient
from mediaserver.speech.stt.interface import SttEngine
from mediaserver.speech.text.formats import to_printable
from mediaserver.speech.tts.interface import Voice, resolve_voice
from mediaserver.speech.tts.sentences import split_sentences
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesis_queue import TRUSTED, Origin
from mediaserver.speech.tts.tts_cache import RESULTS, TtsCache
from mediaserver.support.store import Store

_MEGABYTE = 1_000_000
# TTS engines that run in worker processes. Each process synthesises one sentence at a time.
_LOCAL_ENGINES = ("hibari", "command")


def split_text(text: str, language: str, settings: SpeechSettings) -> list[str]:
    """The sentences of a text. Raises ValueError where the text is too long, or has no letter and no digit."""
    if len(text) > settings.max_characters:
        raise ValueError(
            f"the text has {len(text)} characters: speech.max_characters is {settings.max_characters}"
        )
    sentences = [to_printable(sentence) for sentence in split_sentences(text, language) if _is_speakable(sentence)]
    if not sentences:
        raise ValueError("the text is empty: there is nothing to say")
    return sentences


def _is_speakable(text: str) -> bool:
    """Whether a sentence has a letter or a digit. TTS engines fail on a sentence of punctuation alone."""
    return any(character.isalnum() for character in text)


class SpeechService:
    """The TTS, STT and LLM engines of one server. Each engine is created when it is first needed.

    `store` is the folder of the TTS cache on disk. `on_first_audio` is called for each newly synthesised sentence,
    with the seconds that its first audio took, including the wait in the queue.
    """

    def __init__(
        self,
        speech: SpeechSettings | None = None,
        recognition: RecognitionSettings | None = None,
        chat: ChatSettings | None = None,
        store: Path | None = None,
        on_first_audio: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.settings = speech or SpeechSettings()
        self.recognition = recognition or RecognitionSettings()
        self._store = Store(str(store), self.settings.cache_limit * _MEGABYTE) if store is not None else None
        self._on_first_audio = on_first_audio
        self._http = EngineHttpClient()
        self.chat = ChatClient(chat or ChatSettings(), self._http)
        self._tts_caches: dict[str, TtsCache] = {}
        self._stt_engines: dict[str, SttEngine] = {}

    def voice(self, engine: str = "", name: str = "", rate: float | None = None, language: str = "") -> Voice:
        """The voice for these arguments. The settings give the value of each argument that is left out."""
        return resolve_voice(self.settings, engine, name, rate, language)

    def say(
        self,
        text: str,
        voice: Voice | None = None,
        fallback: Segment | None = None,
        on_failure: Callable[[str], None] = lambda why: None,
        origin: Origin = TRUSTED,
    ) -> SpokenText:
        """Begin to synthesise a text, and return it as audio that a playlist can play, sentence by sentence.

        Without a `voice`, the configured voice speaks. Where the TTS engine fails, `fallback` is played instead,
        and `on_failure` is called with the reason. The `origin` decides the place of the text's sentences in the
        engine's queue. Raises ValueError where the text has nothing to speak, or is longer than
        `speech.max_characters`.
        """
        voice = voice or self.voice()
        sentences = split_text(text, voice.language, self.settings)
        cache = self._tts_cache(voice.engine)
        spoken = SpokenText(
            sentences,
            lambda sentence: cache.get_or_synthesise(sentence, voice, origin),
            fallback,
            on_failure,
        )
        spoken.start_synthesis()
        return spoken

    def recogniser(self, engine: str = "") -> SttEngine:
        """The STT engine with the name `engine`; with "", the configured STT engine."""
        name = engine or self.recognition.engine
        if name not in self._stt_engines:
            self._stt_engines[name] = STT_ENGINES[name](self.recognition, self._http)
        return self._stt_engines[name]

    def preload(self, requirements: Iterable[EngineRequirement]) -> None:
        """Start the required engines, so that the first call does not wait for them."""
        for requirement in set(requirements):
            if requirement.kind is EngineKind.TTS:
                self._tts_cache(requirement.engine or self.settings.engine).preload()
            elif requirement.kind is EngineKind.STT:
                self.recogniser(requirement.engine).preload()

    def not_ready_reasons(self, requirements: Iterable[EngineRequirement]) -> list[str]:
        """One line for each required TTS or STT engine that is not ready yet: the engine's name and the reason."""
        reasons = {}
        for requirement in requirements:
            if requirement.kind is EngineKind.TTS:
                name = requirement.engine or self.settings.engine
                reasons[f"speech engine {name}"] = self._tts_cache(name).not_ready_reason
            elif requirement.kind is EngineKind.STT:
                name = requirement.engine or self.recognition.engine
                reasons[f"recognition engine {name}"] = self.recogniser(name).not_ready_reason
        return [f"{engine} {why}" for engine, why in sorted(reasons.items()) if why]

    @property
    def results(self) -> dict[str, int]:
        """The number of sentences for each result: memory, disk, made, failed or dropped (`tts_cache.RESULTS`)."""
        caches = self._tts_caches.values()
        return {result: sum(cache.results[result] for cache in caches) for result in RESULTS}

    async def close(self) -> None:
        """Close all engines and their connections."""
        engines: list[TtsCache | SttEngine] = [*self._tts_caches.values(), *self._stt_engines.values()]
        await asyncio.gather(*(engine.close() for engine in engines))
        await self._http.close()

    def _tts_cache(self, engine: str) -> TtsCache:
        if engine not in self._tts_caches:
            settings = self.settings
            self._tts_caches[engine] = TtsCache(
                TTS_ENGINES[engine](settings, self._http),
                settings.timeout,
                settings.memory_limit * _MEGABYTE,
                self._store,
                self._on_first_audio,
                settings.processes if engine in _LOCAL_ENGINES else 0,
            )
        return self._tts_caches[engine]
