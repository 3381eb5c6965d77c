"""Checks, before any call, whether the TTS, STT and LLM engines that configured paths require can be used."""

from enum import StrEnum
from typing import NamedTuple

from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.table import STT_PROBLEMS, TTS_PROBLEMS
from mediaserver.speech.engines.tokens import token_problem
from mediaserver.speech.tts.interface import resolve_voice


class EngineKind(StrEnum):
    """The kinds of engine. The value of a kind is the name of the settings' section that configures it."""

    TTS = "speech"
    STT = "recognition"
    LLM = "chat"


class EngineRequirement(NamedTuple):
    """An engine that a configured path requires. An empty field stands for the value in the settings."""

    kind: EngineKind
    engine: str = ""
    language: str = ""  # a BCP 47 tag
    voice: str = ""


def voice_problem(requirement: EngineRequirement, speech: SpeechSettings) -> str:
    """Why a TTS engine cannot speak as required; "" if no reason is known. The check does not start the engine."""
    voice = resolve_voice(speech, requirement.engine, requirement.voice, language=requirement.language)
    return TTS_PROBLEMS[voice.engine](speech, voice)


def requirement_problem(
    requirement: EngineRequirement, speech: SpeechSettings, recognition: RecognitionSettings, chat: ChatSettings
) -> str:
    """Why a required engine cannot be used; "" if no reason is known. The check does not start the engine."""
    match requirement.kind:
        case EngineKind.TTS:
            return voice_problem(requirement, speech)
        case EngineKind.STT:
            find_problem = STT_PROBLEMS.get(requirement.engine or recognition.engine)
            if find_problem is None:
                return ""
            return find_problem(recognition, requirement.language or recognition.language)
        case EngineKind.LLM if problem := token_problem(chat.url, chat.token, "chat.token"):
            return f"{problem}; chat.url names another server"
    return ""
