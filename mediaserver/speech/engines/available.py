"""What is missing for the engines that paths need, so that it is known before a call comes."""

from typing import Literal, NamedTuple

from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.table import RECOGNITION_PROBLEMS, SYNTHESIS_PROBLEMS
from mediaserver.speech.engines.tokens import lacking_token
from mediaserver.speech.tts.interface import voice_of


class Need(NamedTuple):
    """An engine that a path needs; without a name, the one that is configured."""

    kind: Literal["speech", "recognition", "chat"]
    engine: str = ""
    language: str = ""  # likewise
    voice: str = ""  # likewise


def lacking_voice(need: Need, speech: SpeechSettings) -> str:
    """Why an engine cannot speak, "" where it can, as far as is known without asking it."""
    voice = voice_of(speech, need.engine, need.voice, language=need.language)
    return SYNTHESIS_PROBLEMS[voice.engine](speech, voice)


def lacking(need: Need, speech: SpeechSettings, recognition: RecognitionSettings, chat: ChatSettings) -> str:
    """Why an engine cannot be used, "" where it can, as far as is known without asking it."""
    match need.kind:
        case "speech":
            return lacking_voice(need, speech)
        case "recognition":
            heard = RECOGNITION_PROBLEMS.get(need.engine or recognition.engine)
            return heard(recognition, need.language or recognition.language) if heard is not None else ""
        case "chat" if problem := lacking_token(chat.url, chat.token, "chat.token"):
            return f"{problem}; chat.url names another server"
    return ""
