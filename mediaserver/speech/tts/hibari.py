"""The TTS engine `hibari`: English speech, made on this machine. The extra `mediaserver[speech]` installs it.

Worker processes, whose module is `hibari_process`, load hibari. The serving process does not.
"""

from collections.abc import AsyncGenerator
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec

from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import RejectedError, did_you_mean
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.worker_pool import WorkerPool
from mediaserver.speech.tts.interface import Voice

# The version of the processing (trimming, level) that `hibari_process` adds to hibari's sound. Raise it with every
# audible change: it is a part of the TTS cache's key, so that older sentences are not found on disk.
_PROCESSING_VERSION = 1
# The names of hibari's voices. They are copied, because an import of hibari's own table would load hibari.
VOICES = ("heart", "emma", "fenrir", "fable", "kore")
_JOB_TIMEOUT = 10.0  # the time limit in seconds for one sentence; a worker that takes longer is killed
_MODULE = "mediaserver.speech.tts.hibari_process"


def config_problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why hibari cannot speak with a voice on this machine; "" if it can."""
    if not find_spec("hibari"):
        return 'hibari is not installed: pip install "mediaserver[speech]", or in a clone make speech'
    if voice.language.lower().split("-")[0] != "en":
        return f'hibari speaks English only: for "{voice.language}" use command or openai'
    if voice.name and voice.name not in VOICES:
        return f'hibari has no voice "{voice.name}"{did_you_mean(voice.name, VOICES)}: {", ".join(VOICES)}'
    return ""


class HibariTts:
    """Synthesises speech with hibari in worker processes."""

    def __init__(self, settings: SpeechSettings, http: EngineHttpClient) -> None:
        self._settings = settings
        self._installed = find_spec("hibari") is not None
        # The time in seconds that a sentence waits for the download of its voice. It is shorter than a sentence's
        # time-out, so that the error says that the voice is still being downloaded.
        download_wait = f"{0.8 * settings.timeout:g}"
        self._workers = WorkerPool(_MODULE, (download_wait,), settings.processes, _JOB_TIMEOUT)

    @cached_property
    def identity(self) -> str:
        """hibari's version and `_PROCESSING_VERSION`, as a part of the TTS cache's key."""
        return f"hibari {version('hibari-tts') if self._installed else ''} {_PROCESSING_VERSION}"

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """Yield the speech of a sentence in one piece: 16-bit PCM, 8 kHz, mono."""
        if why := config_problem(self._settings, voice):
            raise RejectedError(why)
        yield await self._workers.run_job(text=text, voice=voice.name, rate=voice.rate)

    def preload(self) -> None:
        """Start a worker process ahead of the first sentence."""
        if self._installed:
            self._workers.preload()

    @property
    def not_ready_reason(self) -> str:
        """Why no worker process has become ready yet; "" once a worker process is ready."""
        return self._workers.not_ready_reason

    async def close(self) -> None:
        """Stop the worker processes."""
        await self._workers.close()
