"""The STT engine `openai`: any server with OpenAI's `POST /audio/transcriptions`.

A request contains a whole utterance, and is sent when the utterance has ended.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp

from mediaserver.audio.containers import wav
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.events.webhook_client import host_of
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.tokens import read_token, token_problem
from mediaserver.speech.stt.interface import Recognition

_TOKEN_KEY = "recognition.openai.token"  # noqa: S105 - the setting's name
_MAX_RESPONSE_BYTES = 64 * 1024  # the maximum size of a response in bytes; a longer response is an error


def config_problem(settings: RecognitionSettings, language: str) -> str:
    """Why the STT server cannot be used as it is configured; "" if no reason is known. Sends no request."""
    return token_problem(settings.openai.url, settings.openai.token, _TOKEN_KEY)


class OpenAiStt:
    """Recognises speech with a server that implements OpenAI's API."""

    def __init__(self, settings: RecognitionSettings, http: EngineHttpClient) -> None:
        self._settings, self._language, self._http = settings.openai, settings.language, http
        self._host = host_of(self._settings.url)

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """Recognise one utterance with one request. `on_partial` is never called."""
        pcm = b"".join([piece async for piece in audio])
        if not pcm:
            return Recognition("")
        url = f"{self._settings.url.rstrip('/')}/audio/transcriptions"
        form = self._form(pcm, language or self._language)
        token = await read_token(self._settings.token, _TOKEN_KEY)
        async with self._http.post(url, token, data=form) as response:
            return Recognition(self._parse_text(await _read_body(response)))

    not_ready_reason = ""  # always "" (ready), because the engine is a remote server, which needs no start

    def preload(self) -> None:
        """Do nothing, because this engine has no process to start."""

    async def close(self) -> None:
        """Do nothing, because all engines share the HTTP client, and `SpeechService` closes it."""

    def _form(self, pcm: bytes, language: str) -> aiohttp.FormData:
        form = aiohttp.FormData()
        file = wav.header(1, len(pcm)) + pcm
        form.add_field("file", file, filename="utterance.wav", content_type="audio/wav")
        form.add_field("model", self._settings.model)
        form.add_field("language", language.split("-")[0].lower())
        form.add_field("response_format", "json")
        return form

    def _parse_text(self, body: bytes | None) -> str:
        """The transcript in a response; `body` is None if the response was too long. Raises EngineError."""
        if body is None:
            raise EngineError(f"{self._host}: the answer is longer than {_MAX_RESPONSE_BYTES // 1024} KB")
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise EngineError(f'{self._host}: the answer is no JSON object with a "text"')
        return str(answer["text"]).strip()


async def _read_body(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body of a response; None if the body has more than `_MAX_RESPONSE_BYTES`."""
    try:
        await response.content.readexactly(_MAX_RESPONSE_BYTES + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    return None
