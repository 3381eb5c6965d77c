"""All engines of one server, as its streams have them."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.playout.sources.source import Run
from mediaserver.speech.engines.available import Need
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.table import RECOGNISERS, SYNTHESISERS
from mediaserver.speech.llm.chat import Chat
from mediaserver.speech.stt.interface import Recogniser
from mediaserver.speech.text.wording import plain
from mediaserver.speech.tts.interface import Voice, voice_of
from mediaserver.speech.tts.priority import OURS, Origin
from mediaserver.speech.tts.sentences import split
from mediaserver.speech.tts.spoken_text import Spoken
from mediaserver.speech.tts.tts_cache import RESULTS, Studio
from mediaserver.support.store import Store

_MEGABYTE = 1_000_000
_ON_THIS_MACHINE = ("hibari", "command")  # engines that speak so many sentences at a time


def sentences_of(text: str, language: str, settings: SpeechSettings) -> list[str]:
    """A text's sentences; ValueError where there are none, or where it is longer than allowed."""
    if len(text) > settings.max_characters:
        raise ValueError(
            f"the text has {len(text)} characters: speech.max_characters is {settings.max_characters}"
        )
    texts = [plain(sentence) for sentence in split(text, language) if _speakable(sentence)]
    if not texts:
        raise ValueError("the text is empty: there is nothing to say")
    return texts


def _speakable(text: str) -> bool:
    """Whether there is anything in it that has a sound."""
    return any(character.isalnum() for character in text)


class Speech:
    """Speaks, recognises and thinks, by engines that are started when they are first needed.

    `store` is a folder for what was spoken. `waited` is told the seconds that made sentences took to begin.
    """

    def __init__(
        self,
        speech: SpeechSettings | None = None,
        recognition: RecognitionSettings | None = None,
        chat: ChatSettings | None = None,
        store: Path | None = None,
        waited: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.settings = speech or SpeechSettings()
        self.recognition = recognition or RecognitionSettings()
        self._store = Store(str(store), self.settings.cache_limit * _MEGABYTE) if store is not None else None
        self._waited = waited
        self._http = Http()
        self.chat = Chat(chat or ChatSettings(), self._http)
        self._studios: dict[str, Studio] = {}
        self._recognisers: dict[str, Recogniser] = {}

    def voice(self, engine: str = "", name: str = "", rate: float | None = None, language: str = "") -> Voice:
        """A voice: what is not given is as configured."""
        return voice_of(self.settings, engine, name, rate, language)

    def say(
        self,
        text: str,
        voice: Voice | None = None,
        fallback: Run | None = None,
        failed: Callable[[str], None] = lambda why: None,
        origin: Origin = OURS,
    ) -> Spoken:
        """A text as runs of sound, sentence by sentence, the first begun at once. Origins take turns.

        ValueError where there is nothing to say, or more than is allowed.
        """
        voice = voice or self.voice()
        texts = sentences_of(text, voice.language, self.settings)
        studio = self._studio(voice.engine)
        spoken = Spoken(texts, lambda sentence: studio.sentence(sentence, voice, origin), fallback, failed)
        spoken.begin()
        return spoken

    def recogniser(self, engine: str = "") -> Recogniser:
        """An engine that recognises."""
        name = engine or self.recognition.engine
        if name not in self._recognisers:
            self._recognisers[name] = RECOGNISERS[name](self.recognition, self._http)
        return self._recognisers[name]

    def warm(self, needs: Iterable[Need]) -> None:
        """Start what will be needed."""
        for need in set(needs):
            if need.kind == "speech":
                self._studio(need.engine or self.settings.engine).warm()
            elif need.kind == "recognition":
                self.recogniser(need.engine).warm()

    def not_ready(self, needs: Iterable[Need]) -> list[str]:
        """The engines that were to be started and are not ready to be used, each with the reason."""
        found = {}
        for need in needs:
            if need.kind == "speech":
                name = need.engine or self.settings.engine
                found[f"speech engine {name}"] = self._studio(name).why_not_ready
            elif need.kind == "recognition":
                name = need.engine or self.recognition.engine
                found[f"recognition engine {name}"] = self.recogniser(name).why_not_ready
        return [f"{engine} {why}" for engine, why in sorted(found.items()) if why]

    @property
    def results(self) -> dict[str, int]:
        """Sentences, by where they came from."""
        studios = self._studios.values()
        return {result: sum(studio.results[result] for studio in studios) for result in RESULTS}

    async def close(self) -> None:
        """Let go of all engines."""
        engines: list[Studio | Recogniser] = [*self._studios.values(), *self._recognisers.values()]
        await asyncio.gather(*(engine.close() for engine in engines))
        await self._http.close()

    def _studio(self, engine: str) -> Studio:
        if engine not in self._studios:
            settings = self.settings
            self._studios[engine] = Studio(
                SYNTHESISERS[engine](settings, self._http),
                settings.timeout,
                settings.memory_limit * _MEGABYTE,
                self._store,
                self._waited,
                settings.processes if engine in _ON_THIS_MACHINE else 0,
            )
        return self._studios[engine]
