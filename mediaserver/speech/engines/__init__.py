"""The engines that there are: small adapters, each imported when it is used."""

from collections.abc import Callable

from mediaserver.settings.speech import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.pocketsphinx import PocketSphinx
from mediaserver.speech.http import Http
from mediaserver.speech.recognition import Recogniser
from mediaserver.speech.synthesis import Synthesiser

SYNTHESISERS: dict[str, Callable[[SpeechSettings, Http], Synthesiser]] = {}
RECOGNISERS: dict[str, Callable[[RecognitionSettings, Http], Recogniser]] = {
    "pocketsphinx": lambda settings, http: PocketSphinx(settings.processes),
}
