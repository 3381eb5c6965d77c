"""`openai`: any server with OpenAI's `POST /audio/transcriptions`, asked when the utterance is over."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp

from mediaserver.audio import wav
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.events.post import host_of
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.tokens import lacking_token, token_of
from mediaserver.speech.stt.interface import Recognition

_SETTING = "recognition.openai.token"  # where its token stands
_MOST = 64 * 1024  # bytes of an answer


class OpenAiRecogniser:
    """Recognises with a server."""

    def __init__(self, settings: RecognitionSettings, http: Http) -> None:
        self._settings, self._language, self._http = settings.openai, settings.language, http
        self._host = host_of(self._settings.url)

    async def recognise(
        self, audio: AsyncIterator[bytes], partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """The words of one utterance; there is nothing partial."""
        pcm = b"".join([piece async for piece in audio])
        if not pcm:
            return Recognition("")
        url = f"{self._settings.url.rstrip('/')}/audio/transcriptions"
        form = self._form(pcm, language or self._language)
        token = await token_of(self._settings.token, _SETTING)
        async with self._http.post(url, token, data=form) as answer:
            return Recognition(self._text(await _read(answer)))

    why_not_ready = ""  # it is not asked ahead of need

    def warm(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _form(self, pcm: bytes, language: str) -> aiohttp.FormData:
        form = aiohttp.FormData()
        sound = wav.header(1, len(pcm)) + pcm
        form.add_field("file", sound, filename="utterance.wav", content_type="audio/wav")
        form.add_field("model", self._settings.model)
        form.add_field("language", language.split("-")[0].lower())
        form.add_field("response_format", "json")
        return form

    def _text(self, body: bytes | None) -> str:
        if body is None:
            raise EngineError(f"{self._host}: the answer is longer than {_MOST // 1024} KB")
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise EngineError(f'{self._host}: the answer is no JSON object with a "text"')
        return str(answer["text"]).strip()


async def _read(answer: aiohttp.ClientResponse) -> bytes | None:
    """All of a body; None where it is longer than anyone has reason to send."""
    try:
        await answer.content.readexactly(_MOST + 1)
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    return None


def problem(settings: RecognitionSettings, language: str) -> str:
    """Why it cannot be used as it is configured, "" where it can."""
    return lacking_token(settings.openai.url, settings.openai.token, _SETTING)
