"""The engines that there are: small adapters.

The tables of problems say why an engine cannot be used here as it is configured, for a voice or a language; ""
where it can.
"""

from collections.abc import Callable

from mediaserver.config.speech_settings import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines import command, hibari, openai, openai_recogniser, pocketsphinx, vosk
from mediaserver.speech.http import Http
from mediaserver.speech.recognition import Recogniser
from mediaserver.speech.synthesis import Synthesiser, Voice

SYNTHESISERS: dict[str, Callable[[SpeechSettings, Http], Synthesiser]] = {
    "hibari": hibari.Hibari,
    "command": command.Command,
    "openai": openai.OpenAi,
}
SYNTHESIS_PROBLEMS: dict[str, Callable[[SpeechSettings, Voice], str]] = {
    "hibari": hibari.problem,
    "command": command.problem,
    "openai": openai.problem,
}
RECOGNISERS: dict[str, Callable[[RecognitionSettings, Http], Recogniser]] = {
    "pocketsphinx": pocketsphinx.PocketSphinx,
    "vosk": vosk.Vosk,
    "openai": openai_recogniser.OpenAiRecogniser,
}
RECOGNITION_PROBLEMS: dict[str, Callable[[RecognitionSettings, str], str]] = {
    "pocketsphinx": pocketsphinx.problem,
    "openai": openai_recogniser.problem,
}
