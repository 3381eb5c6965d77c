"""PocketSphinx: English, on this machine, without a network, and not very well."""

import importlib.util
import json
from collections.abc import AsyncIterator, Callable

from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.speech.engines.http import Http
from mediaserver.speech.stt.interface import Recognition, while_telling
from mediaserver.speech.stt.pocketsphinx_wire import ANSWER, SOUND
from mediaserver.support.processes import DEAD, Child, NoProcessError, Pool

_MODULE = "mediaserver.speech.stt.pocketsphinx_process"
_IDLE = 60.0  # seconds after which a process that nobody needs is let go, but for one


class PocketSphinx:
    """Recognises in processes of our own, each one utterance at a time; one of them is kept."""

    def __init__(self, settings: RecognitionSettings, http: Http) -> None:
        self._pool = Pool(_MODULE, lambda: (), settings.processes, idle=_IDLE, kept=1, aside=True)

    def warm(self) -> None:
        """Have a process be ready."""
        self._pool.warm()

    @property
    def why_not_ready(self) -> str:
        """Until its first process is."""
        return self._pool.why_not_ready

    async def close(self) -> None:
        """Let the processes go."""
        await self._pool.close()

    async def recognise(
        self, audio: AsyncIterator[bytes], partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """The words of one utterance, in lower case; while all processes are busy, its sound waits."""
        try:
            async with self._pool.child() as child:
                return await while_telling(_tell(child, audio), _hear(child, partial))
        except NoProcessError as error:
            raise EngineError(str(error)) from error
        except DEAD:
            raise EngineError("pocketsphinx: its process died") from None


async def _tell(child: Child, audio: AsyncIterator[bytes]) -> None:
    async for pcm in audio:
        await child.send(SOUND.pack(len(pcm)) + pcm)
    await child.send(SOUND.pack(0))


async def _hear(child: Child, partial: Callable[[str], None]) -> Recognition:
    while True:
        last, size = ANSWER.unpack(await child.receive(ANSWER.size))
        answer = json.loads(await child.receive(size))
        if last:
            return Recognition(**answer)
        partial(answer["text"])


def problem(settings: RecognitionSettings, language: str) -> str:
    """Why it cannot be used here, "" where it can."""
    if importlib.util.find_spec("pocketsphinx") is None:
        return 'pocketsphinx is not installed: pip install "mediaserver[speech]", or in a clone make speech'
    if language.lower().split("-")[0] != "en":
        return f'pocketsphinx understands English only: for "{language}" use vosk or openai'
    return ""
