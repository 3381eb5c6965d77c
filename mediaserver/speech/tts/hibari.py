"""`hibari`: English, offline, by the extra `[speech]`. It runs in processes of ours."""

from collections.abc import AsyncGenerator
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec

from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import EngineError, did_you_mean
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.worker_pool import Workshop
from mediaserver.speech.tts.interface import Voice

_MAKING = 1  # our own part in its sound: to be counted up with every change that is heard
VOICES = ("heart", "emma", "fenrir", "fable", "kore")  # its own table costs its whole import
_LONGEST = 10.0  # seconds for one sentence: then it hangs


def problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why it cannot be used here, if so."""
    if not find_spec("hibari"):
        return 'hibari is not installed: pip install "mediaserver[speech]", or in a clone make speech'
    if voice.language.lower().split("-")[0] != "en":
        return f'hibari speaks English only: for "{voice.language}" use command or openai'
    if voice.name and voice.name not in VOICES:
        return f'hibari has no voice "{voice.name}"{did_you_mean(voice.name, VOICES)}: {", ".join(VOICES)}'
    return ""


class Hibari:
    """Speaks with hibari."""

    def __init__(self, settings: SpeechSettings, http: Http) -> None:
        self._settings = settings
        self._installed = find_spec("hibari") is not None
        patience = f"{0.8 * settings.timeout:g}"  # so that why a voice is not there is told before the time is up
        self._workshop = Workshop(
            "mediaserver.speech.tts.hibari_process", (patience,), settings.processes, _LONGEST
        )

    @cached_property
    def identity(self) -> str:
        """Its version, and that of what we make of it."""
        return f"hibari {version('hibari-tts') if self._installed else ''} {_MAKING}"

    async def speak(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """The sound of a sentence, in one piece."""
        if why := problem(self._settings, voice):
            raise EngineError(why)
        yield await self._workshop.make(text=text, voice=voice.name, rate=voice.rate)

    def warm(self) -> None:
        """Start a process."""
        if self._installed:
            self._workshop.warm()

    @property
    def why_not_ready(self) -> str:
        """Until its first process is."""
        return self._workshop.why_not_ready

    async def close(self) -> None:
        """Let the processes go."""
        await self._workshop.close()
