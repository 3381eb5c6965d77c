"""The engines that there are: small adapters.

The tables of problems say why an engine cannot be used here as it is configured, for a voice or a language; ""
where it can.
"""

from collections.abc import Callable

from mediaserver.config.speech_settings import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.http import Http
from mediaserver.speech.stt import openai as openai_stt
from mediaserver.speech.stt import pocketsphinx, vosk
from mediaserver.speech.stt.interface import Recogniser
from mediaserver.speech.tts import command, hibari
from mediaserver.speech.tts import openai as openai_tts
from mediaserver.speech.tts.interface import Synthesiser, Voice

SYNTHESISERS: dict[str, Callable[[SpeechSettings, Http], Synthesiser]] = {
    "hibari": hibari.Hibari,
    "command": command.Command,
    "openai": openai_tts.OpenAi,
}
SYNTHESIS_PROBLEMS: dict[str, Callable[[SpeechSettings, Voice], str]] = {
    "hibari": hibari.problem,
    "command": command.problem,
    "openai": openai_tts.problem,
}
RECOGNISERS: dict[str, Callable[[RecognitionSettings, Http], Recogniser]] = {
    "pocketsphinx": pocketsphinx.PocketSphinx,
    "vosk": vosk.Vosk,
    "openai": openai_stt.OpenAiRecogniser,
}
RECOGNITION_PROBLEMS: dict[str, Callable[[RecognitionSettings, str], str]] = {
    "pocketsphinx": pocketsphinx.problem,
    "openai": openai_stt.problem,
}
