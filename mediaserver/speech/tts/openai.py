"""The TTS engine `openai`: any server with OpenAI's `POST /audio/speech`. Speech is played while it arrives."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import aiohttp
import soxr

from mediaserver.audio.containers import signatures, wav
from mediaserver.audio.pcm import SAMPLE_RATE, pad_to_frames, quantize, to_bytes
from mediaserver.audio.resample import Resampler
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import EngineError, PromptError
from mediaserver.events.webhook_client import host_of
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.tokens import read_token, token_problem
from mediaserver.speech.tts.interface import Voice

_TOKEN_KEY = "speech.openai.token"  # noqa: S105 - the setting's name
RESPONSE_RATE = 24_000  # the sampling rate in Hz of a response as "pcm", which is 16-bit little-endian mono
_CHUNK_BYTES = RESPONSE_RATE // 10 * 2  # the size in bytes of one processed piece of a response: 100 ms of PCM
_MAX_RESPONSE_BYTES = 180 * RESPONSE_RATE * 2  # the maximum size of a response in bytes: three minutes of PCM
_PCM_TYPES = {"audio/pcm", "audio/l16", "audio/raw", "audio/x-raw", "application/octet-stream", ""}
_WAV_TYPES = {"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}
# How many bytes of a text response are read, and how many of its characters an error message repeats.
_MAX_TEXT_BYTES, _MAX_SHOWN = 800, 200


def config_problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why the TTS server cannot be used as it is configured; "" if no reason is known. Sends no request."""
    return token_problem(settings.openai.url, settings.openai.token, _TOKEN_KEY)


class OpenAiTts:
    """Synthesises speech with a server that implements OpenAI's API."""

    def __init__(self, settings: SpeechSettings, http: EngineHttpClient) -> None:
        self._settings, self._http = settings.openai, http
        self._host = host_of(self._settings.url)

    @property
    def identity(self) -> str:
        """The server's URL, model and default voice, as a part of the TTS cache's key."""
        return f"openai {self._settings.url} {self._settings.model} {self._settings.voice}"

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """Yield the speech of a sentence as the response streams in: 16-bit PCM, 8 kHz, mono."""
        body = {
            "model": self._settings.model,
            "input": text,
            "voice": voice.name or self._settings.voice,
            "response_format": "pcm",
            "speed": voice.rate,
        }
        url = f"{self._settings.url.rstrip('/')}/audio/speech"
        token = await read_token(self._settings.token, _TOKEN_KEY)
        async with (
            self._http.post(url, token, json=body) as response,
            contextlib.aclosing(self._iter_chunks(response)) as chunks,
            contextlib.aclosing(self._iter_pcm(chunks, _media_type(response))) as pcm_pieces,
        ):
            async for pcm in pcm_pieces:
                yield pcm

    not_ready_reason = ""  # always "" (ready), because the engine is a remote server, which needs no start

    def preload(self) -> None:
        """Do nothing, because this engine has no process to start."""

    async def close(self) -> None:
        """Do nothing, because all engines share the HTTP client, and `SpeechService` closes it."""

    async def _iter_pcm(self, chunks: AsyncGenerator[bytes, None], media_type: str) -> AsyncGenerator[bytes, None]:
        """Yield a response's audio in whole frames of 8 kHz PCM. Raises EngineError if it has no audio."""
        first = await anext(chunks, b"")
        if first[:4] == b"RIFF" or media_type in _WAV_TYPES:
            yield await asyncio.to_thread(_decode_wav, b"".join([first, *[chunk async for chunk in chunks]]))
            return
        kind = signatures.identify(first[signatures.id3_bytes(first) :])
        if media_type not in _PCM_TYPES or kind is not None or signatures.id3_bytes(first):
            told = media_type or "something"
            told += f" ({kind.name.split(':')[0]})" if kind is not None else ""
            raise EngineError(f"{self._host}: answered with {told}, not PCM{_shown_text(media_type, first)}")
        resampler, chunk = Resampler(RESPONSE_RATE), first
        while chunk:
            if pcm := resampler.feed(chunk):
                yield pcm
            chunk = await anext(chunks, b"")
        if first:
            yield resampler.flush()

    async def _iter_chunks(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """Yield a response's body in pieces of 4800 bytes (100 ms of PCM). EngineError if the body is too long."""
        buffer, size = bytearray(), 0
        async for data in response.content.iter_any():
            size += len(data)
            if size > _MAX_RESPONSE_BYTES:
                raise EngineError(f"{self._host}: answered with more than {_MAX_RESPONSE_BYTES} bytes of sound")
            buffer += data
            while len(buffer) >= _CHUNK_BYTES:
                yield bytes(buffer[:_CHUNK_BYTES])
                del buffer[:_CHUNK_BYTES]
        if buffer:
            yield bytes(buffer)


def _media_type(response: aiohttp.ClientResponse) -> str:
    """The media type of a response, without parameters, in lower case."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _decode_wav(content: bytes) -> bytes:
    """The PCM of a WAV file, resampled to 8 kHz, in whole frames. Raises EngineError for an invalid file."""
    try:
        file = wav.parse(content)
        if not file.data:
            raise EngineError("the answer has no sound in it")
        if file.native:
            return pad_to_frames(to_bytes(file.samples()))
        return pad_to_frames(
            to_bytes(quantize(soxr.resample(file.signal(), file.rate, SAMPLE_RATE, quality="VHQ")))
        )
    except PromptError as error:
        raise EngineError(f"the answer {error}") from error


def _shown_text(media_type: str, content: bytes) -> str:
    """The beginning of a text response as one line after a colon, for an error message; "" if it is no text."""
    if media_type != "application/json" and not media_type.startswith("text/"):
        return ""
    text = " ".join(content[:_MAX_TEXT_BYTES].decode(errors="replace").split())[:_MAX_SHOWN]
    return f": {text}" if text else ""
