"""Checks, before any call, whether the TTS, STT and LLM engines that URL paths require can be used."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from mediaserver.config.speech_settings import CHAT_ENGINE, ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.table import TTS_PROBLEMS, stt_problem
from mediaserver.speech.engines.tokens import token_problem
from mediaserver.speech.tts.interface import resolve_voice


class EngineKind(StrEnum):
    """The kinds of engine. The value of a kind is the name of the settings' section that configures it."""

    TTS = "speech"
    STT = "recognition"
    LLM = "chat"


class EngineRequirement(NamedTuple):
    """Engines that the handler of a URL path requires. The first is used; if it fails, the next is used.

    An empty field stands for the default in the settings.
    """

    kind: EngineKind
    engines: tuple[str, ...] = ()
    language: str = ""  # the language that is spoken or recognised, a BCP 47 tag
    voice: str = ""  # the name of the voice with which the first engine speaks


def voice_problems(requirement: EngineRequirement, speech: SpeechSettings) -> list[str]:
    """Why TTS engines cannot speak as a URL path requires: one line for each such engine. No engine is started."""
    voice = resolve_voice(speech, requirement.engines, requirement.voice, language=requirement.language)
    return _existing(TTS_PROBLEMS[each.engine](speech, each) for each in voice.in_order)


def requirement_problems(
    requirement: EngineRequirement, speech: SpeechSettings, recognition: RecognitionSettings, chat: ChatSettings
) -> list[str]:
    """Why engines that a URL path requires cannot be used: one line for each such engine. No engine is started."""
    match requirement.kind:
        case EngineKind.TTS:
            return voice_problems(requirement, speech)
        case EngineKind.STT:
            language = requirement.language or recognition.language
            engines = requirement.engines or recognition.engine
            return _existing(stt_problem(engine, recognition, language) for engine in engines)
        case EngineKind.LLM:
            return _existing(_chat_problem(chat, engine) for engine in chat.engine)


def can_serve(
    requirement: EngineRequirement, speech: SpeechSettings, recognition: RecognitionSettings, chat: ChatSettings
) -> bool:
    """Whether at least one of the engines that a URL path requires has no known problem."""
    engines = {
        EngineKind.TTS: requirement.engines or speech.engine,
        EngineKind.STT: requirement.engines or recognition.engine,
        EngineKind.LLM: chat.engine,
    }[requirement.kind]
    return len(requirement_problems(requirement, speech, recognition, chat)) < len(engines)


def _existing(problems: Iterable[str]) -> list[str]:
    return [problem for problem in problems if problem]


def _chat_problem(chat: ChatSettings, engine: str) -> str:
    server, key = chat.all_servers[engine], "chat" if engine == CHAT_ENGINE else f"chat.servers.{engine}"
    problem = token_problem(server.url, server.token, f"{key}.token")
    return f"{problem}; {key}.url names another server" if problem else ""
