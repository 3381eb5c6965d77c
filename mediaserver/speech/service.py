"""The speech engines (TTS, STT and LLM) of one server, which all of its calls share."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mediaserver.config.speech_settings import CHAT_ENGINE, ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.engines.failover import Failover, Startable
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.engines.table import STT_ENGINES, TTS_ENGINES, stt_problem
from mediaserver.speech.llm.chat import ChatClient
from mediaserver.speech.llm.failover import FailoverChat
from mediaserver.speech.stt.failover import FailoverStt
from mediaserver.speech.stt.interface import SttEngine
from mediaserver.speech.text.formats import to_printable
from mediaserver.speech.tts.interface import TtsEngine, Voice, resolve_voice
from mediaserver.speech.tts.sentences import split_sentences
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesis_queue import TRUSTED, Origin
from mediaserver.speech.tts.synthesiser import Synthesiser
from mediaserver.speech.tts.tts_cache import TtsCache
from mediaserver.support.store import Store

_MEGABYTE = 1_000_000
# The TTS engines that run in worker processes. Each process synthesises one sentence at a time.
_LOCAL_ENGINES = ("hibari", "command")


def split_text(text: str, language: str, settings: SpeechSettings) -> list[str]:
    """The sentences of a text. Raises ValueError if the text is too long, or has no letter and no digit."""
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
    with the seconds that its first audio took, including the wait in the queue. `chat` answers conversations.
    `loudness` is the active speech level of spoken texts in dBov; None keeps the engines' own levels.
    """

    def __init__(
        self,
        speech: SpeechSettings | None = None,
        recognition: RecognitionSettings | None = None,
        chat: ChatSettings | None = None,
        store: Path | None = None,
        on_first_audio: Callable[[float], None] = lambda seconds: None,
        loudness: float | None = None,
    ) -> None:
        self.settings = speech or SpeechSettings()
        self.recognition = recognition or RecognitionSettings()
        self._http = EngineHttpClient()
        self._failovers = {kind: Failover(kind) for kind in EngineKind}
        self._synthesisers: dict[str, Synthesiser] = {}
        self._stt_engines: dict[str, SttEngine] = {}
        limit = self.settings.cache_limit * _MEGABYTE
        self._tts_cache = TtsCache(
            self._synthesiser,
            self._failovers[EngineKind.TTS],
            self.settings.timeout,
            self.settings.memory_limit * _MEGABYTE,
            Store(str(store), limit) if store is not None else None,
            on_first_audio,
            loudness,
        )
        self._chat_settings = chat or ChatSettings()
        self.chat = self._make_chat(self._chat_settings)

    def voice(
        self, engine: str | Sequence[str] = (), name: str = "", rate: float | None = None, language: str = ""
    ) -> Voice:
        """The voice that these arguments choose. The settings give the value of each argument that is left out.

        `engine` is one engine's name, or several in the order in which they are tried; `name` is a voice of the
        first engine.
        """
        return resolve_voice(self.settings, _names(engine), name, rate, language)

    def say(
        self,
        text: str,
        voice: Voice | None = None,
        fallback: Segment | None = None,
        on_failure: Callable[[str], None] = lambda why: None,
        origin: Origin = TRUSTED,
    ) -> SpokenText:
        """Begin to synthesise a text, and return it as audio that a playlist can play, sentence by sentence.

        Without a `voice`, the configured voice speaks. If a TTS engine fails, the voice's next engine speaks the
        rest of the text, from the beginning of the sentence that is not complete. If all of them fail, the sound
        `fallback` is played instead, and `on_failure` is called with the reason. The `origin` decides the place of
        the text's sentences in an engine's queue. Raises ValueError if the text has nothing to speak, or is longer
        than `speech.max_characters`.
        """
        voice = voice or self.voice()
        sentences = split_text(text, voice.language, self.settings)
        cache = self._tts_cache
        spoken = SpokenText(
            sentences,
            lambda sentence: cache.get_or_synthesise(sentence, voice, origin),
            fallback,
            on_failure,
        )
        spoken.start_synthesis()
        return spoken

    def recogniser(self, engine: str | Sequence[str] = ()) -> SttEngine:
        """The STT engine with the name `engine`. Several names give failover; () means the configured names."""
        settings = self.recognition
        return FailoverStt(
            {name: self._stt_engine(name) for name in _names(engine) or settings.engine},
            self._failovers[EngineKind.STT],
            settings.timeout,
            lambda name, language: stt_problem(name, settings, language or settings.language),
        )

    def preload(self, requirements: Iterable[EngineRequirement]) -> None:
        """Start the required engines, so that the first call does not wait for them."""
        for requirement in set(requirements):
            names = self._engines_of(requirement)
            self._failovers[requirement.kind].expect(names)
            for engine in self._startable(requirement.kind, names).values():
                engine.preload()

    def not_ready_reasons(self, requirements: Iterable[EngineRequirement]) -> list[str]:
        """One line for each required TTS or STT engine that is not ready yet: the engine's name and the reason.

        If one of several engines that serve the same calls is ready, no line is given for the others.
        """
        reasons = {}
        for requirement in requirements:
            engines = self._startable(requirement.kind, self._engines_of(requirement))
            if all(engine.not_ready_reason for engine in engines.values()):
                for name, engine in engines.items():
                    kind = "recognition" if requirement.kind is EngineKind.STT else "speech"
                    reasons[f"{kind} engine {name}"] = engine.not_ready_reason
        return [f"{engine} {why}" for engine, why in sorted(reasons.items())]

    @property
    def results(self) -> dict[str, int]:
        """The number of sentences for each of `tts_cache.RESULTS`: where a sentence came from, or how it ended."""
        return self._tts_cache.results

    @property
    def engine_health(self) -> dict[tuple[str, str], bool]:
        """Whether each engine in use can serve requests, by kind and name: it is ready, and healthy."""
        found = {}
        for kind, failover in self._failovers.items():
            startable = self._startable(kind, failover.health)
            for name, healthy in failover.health.items():
                found[kind.value, name] = healthy and not (name in startable and startable[name].not_ready_reason)
        return found

    @property
    def engine_failures(self) -> dict[tuple[str, str], int]:
        """The number of requests that each engine in use has failed, by the engine's kind and name."""
        return {
            (kind.value, name): failures
            for kind, failover in self._failovers.items()
            for name, failures in failover.failures.items()
        }

    async def close(self) -> None:
        """Close all engines and their connections."""
        await self._tts_cache.close()
        synthesisers, recognisers = self._synthesisers.values(), self._stt_engines.values()
        engines: list[TtsEngine | SttEngine] = [*(each.engine for each in synthesisers), *recognisers]
        await asyncio.gather(*(engine.close() for engine in engines))
        await self._http.close()

    def _engines_of(self, requirement: EngineRequirement) -> Sequence[str]:
        match requirement.kind:
            case EngineKind.TTS:
                return requirement.engines or self.settings.engine
            case EngineKind.STT:
                return requirement.engines or self.recognition.engine
            case EngineKind.LLM:
                return self._chat_settings.engine

    def _startable(self, kind: EngineKind, names: Iterable[str]) -> dict[str, Startable]:
        """The TTS or STT engines that have these names, by name; none for LLM engines, which need no start."""
        if kind is EngineKind.TTS:
            return {name: self._synthesiser(name).engine for name in names}
        return {name: self._stt_engine(name) for name in names} if kind is EngineKind.STT else {}

    def _synthesiser(self, engine: str) -> Synthesiser:
        if engine not in self._synthesisers:
            concurrency = self.settings.processes if engine in _LOCAL_ENGINES else 0
            self._synthesisers[engine] = Synthesiser(TTS_ENGINES[engine](self.settings, self._http), concurrency)
        return self._synthesisers[engine]

    def _stt_engine(self, name: str) -> SttEngine:
        if name not in self._stt_engines:
            self._stt_engines[name] = STT_ENGINES[name](self.recognition, self._http)
        return self._stt_engines[name]

    def _make_chat(self, settings: ChatSettings) -> FailoverChat:
        clients = {}
        for name in settings.engine:
            key = "chat.token" if name == CHAT_ENGINE else f"chat.servers.{name}.token"
            clients[name] = ChatClient(settings.all_servers[name], self._http, key)
        return FailoverChat(clients, self._failovers[EngineKind.LLM], settings.timeout)


def _names(engine: str | Sequence[str]) -> Sequence[str]:
    """The names of engines as a sequence: a single name is put into a sequence, and "" gives an empty sequence."""
    return (*filter(None, (engine,)),) if isinstance(engine, str) else engine
