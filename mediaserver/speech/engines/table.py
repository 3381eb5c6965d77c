"""The tables of TTS and STT engines. Their keys are the names of the engines in the settings.

A function in `TTS_PROBLEMS` or `STT_PROBLEMS` returns why an engine cannot be used as it is configured, or "" if
no reason is known. The function asks whether a TTS engine can speak with a voice, or an STT engine can recognise a
language. It starts no engine and sends no request, so that the command `mediaserver check` is quick.
"""

from collections.abc import Callable

from mediaserver.config.speech_settings import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.stt import openai as openai_stt
from mediaserver.speech.stt import pocketsphinx, vosk
from mediaserver.speech.stt.interface import SttEngine
from mediaserver.speech.tts import command, hibari
from mediaserver.speech.tts import openai as openai_tts
from mediaserver.speech.tts.interface import TtsEngine, Voice

TTS_ENGINES: dict[str, Callable[[SpeechSettings, EngineHttpClient], TtsEngine]] = {
    "hibari": hibari.HibariTts,
    "command": command.CommandTts,
    "openai": openai_tts.OpenAiTts,
}
TTS_PROBLEMS: dict[str, Callable[[SpeechSettings, Voice], str]] = {
    "hibari": hibari.config_problem,
    "command": command.config_problem,
    "openai": openai_tts.config_problem,
}
STT_ENGINES: dict[str, Callable[[RecognitionSettings, EngineHttpClient], SttEngine]] = {
    "pocketsphinx": pocketsphinx.PocketSphinxStt,
    "vosk": vosk.VoskStt,
    "openai": openai_stt.OpenAiStt,
}
STT_PROBLEMS: dict[str, Callable[[RecognitionSettings, str], str]] = {
    "pocketsphinx": pocketsphinx.config_problem,
    "openai": openai_stt.config_problem,
}


def stt_problem(engine: str, settings: RecognitionSettings, language: str) -> str:
    """Why an STT engine cannot recognise a language as it is configured; "" if no reason is known."""
    find_problem = STT_PROBLEMS.get(engine)
    return find_problem(settings, language) if find_problem is not None else ""
