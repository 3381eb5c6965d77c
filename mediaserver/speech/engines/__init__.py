"""The engines that there are: small adapters.

`SYNTHESIS_PROBLEMS` says why an engine cannot be used here as it is configured, "" where it can.
"""

from collections.abc import Callable

from mediaserver.settings.speech import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines import command, hibari, openai
from mediaserver.speech.engines.pocketsphinx import PocketSphinx
from mediaserver.speech.http import Http
from mediaserver.speech.recognition import Recogniser
from mediaserver.speech.synthesis import Synthesiser

SYNTHESISERS: dict[str, Callable[[SpeechSettings, Http], Synthesiser]] = {
    "hibari": hibari.Hibari,
    "command": command.Command,
    "openai": openai.OpenAi,
}
SYNTHESIS_PROBLEMS: dict[str, Callable[[SpeechSettings], str]] = {
    "hibari": hibari.problem,
    "command": command.problem,
}
RECOGNISERS: dict[str, Callable[[RecognitionSettings, Http], Recogniser]] = {
    "pocketsphinx": lambda settings, http: PocketSphinx(settings.processes),
}
