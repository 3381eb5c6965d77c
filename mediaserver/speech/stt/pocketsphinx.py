"""The STT engine `pocketsphinx`: English on this machine, without a network.

PocketSphinx makes more mistakes than the other STT engines. Worker processes, whose module is
`pocketsphinx_process`, load PocketSphinx. The serving process does not.
"""

import importlib.util
import json
from collections.abc import AsyncIterator, Callable

from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.stt.interface import Recognition, send_while_receiving
from mediaserver.speech.stt.pocketsphinx_wire import AUDIO, RESULT
from mediaserver.support.processes.child import DEAD, ChildProcess, NoProcessError
from mediaserver.support.processes.pool import ProcessPool

_MODULE = "mediaserver.speech.stt.pocketsphinx_process"
_IDLE = 60.0  # the time in seconds without any utterance after which all workers but one are stopped


def config_problem(settings: RecognitionSettings, language: str) -> str:
    """Why PocketSphinx cannot recognise a language on this machine; "" if it can."""
    if importlib.util.find_spec("pocketsphinx") is None:
        return 'pocketsphinx is not installed: pip install "mediaserver[speech]", or in a clone make speech'
    if language.lower().split("-")[0] != "en":
        return f'pocketsphinx understands English only: for "{language}" use vosk or openai'
    return ""


class PocketSphinxStt:
    """Recognises speech in worker processes. Each process recognises one utterance at a time."""

    def __init__(self, settings: RecognitionSettings, http: EngineHttpClient) -> None:
        self._pool = ProcessPool(
            _MODULE, lambda: (), settings.processes, idle=_IDLE, kept=1, spare_first_core=True
        )

    def preload(self) -> None:
        """Start a worker process ahead of the first utterance."""
        self._pool.prestart()

    @property
    def not_ready_reason(self) -> str:
        """Why no worker process has become ready yet; "" once a worker process is ready."""
        return self._pool.why_not_ready

    async def close(self) -> None:
        """Stop the worker processes."""
        await self._pool.close()

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """Recognise one utterance; its text is in lower case. The utterance waits while all workers are busy."""
        try:
            async with self._pool.acquire() as worker:
                return await send_while_receiving(_send_audio(worker, audio), _receive_result(worker, on_partial))
        except NoProcessError as error:
            raise EngineError(str(error)) from error
        except DEAD:
            raise EngineError("pocketsphinx: its process died") from None


async def _send_audio(worker: ChildProcess, audio: AsyncIterator[bytes]) -> None:
    async for pcm in audio:
        await worker.send(AUDIO.pack(len(pcm)) + pcm)
    await worker.send(AUDIO.pack(0))


async def _receive_result(worker: ChildProcess, on_partial: Callable[[str], None]) -> Recognition:
    while True:
        is_final, size = RESULT.unpack(await worker.receive(RESULT.size))
        result = json.loads(await worker.receive(size))
        if is_final:
            return Recognition(**result)
        on_partial(result["text"])
