"""`openai`: any server with OpenAI's `POST /audio/speech`, heard while it streams."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import aiohttp
import soxr

from mediaserver.audio import wav
from mediaserver.audio.pcm import SAMPLE_RATE, quantize, to_bytes, whole_frames
from mediaserver.audio.resample import Resampler
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import EngineError, PromptError
from mediaserver.events.post import host_of
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.tokens import lacking_token, token_of
from mediaserver.speech.tts.interface import Voice

_SETTING = "speech.openai.token"  # where its token stands
RATE = 24_000  # Hz of "pcm": 16-bit little-endian, mono
_PIECE = RATE // 10 * 2  # bytes, a tenth of a second: what is heard at once
_MOST = 180 * RATE * 2  # bytes of one sentence, three minutes
_PCM_TYPES = {"audio/pcm", "audio/l16", "audio/raw", "audio/x-raw", "application/octet-stream", ""}
_WAV_TYPES = {"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}
_OTHERS = {b"OggS", b"fLaC", b"ID3\x03", b"ID3\x04"}  # how sound begins that is no PCM
_LOOKED_AT, _SHOWN = 800, 200  # bytes of an answer that is text, and characters of it that are told


def problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why it cannot be used as it is configured, if so."""
    return lacking_token(settings.openai.url, settings.openai.token, _SETTING)


class OpenAi:
    """Speaks with a server."""

    def __init__(self, settings: SpeechSettings, http: Http) -> None:
        self._settings, self._http = settings.openai, http
        self._host = host_of(self._settings.url)

    @property
    def identity(self) -> str:
        """The server and its model."""
        return f"openai {self._settings.url} {self._settings.model} {self._settings.voice}"

    async def speak(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """The sound of a sentence, while it comes."""
        body = {
            "model": self._settings.model,
            "input": text,
            "voice": voice.name or self._settings.voice,
            "response_format": "pcm",
            "speed": voice.rate,
        }
        url = f"{self._settings.url.rstrip('/')}/audio/speech"
        token = await token_of(self._settings.token, _SETTING)
        async with (
            self._http.post(url, token, json=body) as answer,
            contextlib.aclosing(self._pieces(answer)) as pieces,
            contextlib.aclosing(self._sound(pieces, _kind(answer))) as sound,
        ):
            async for pcm in sound:
                yield pcm

    why_not_ready = ""  # it is not asked ahead of need

    def warm(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to let go of: the client is everybody's."""

    async def _sound(self, pieces: AsyncGenerator[bytes, None], kind: str) -> AsyncGenerator[bytes, None]:
        """Its sound at 8 kHz, in whole frames; EngineError where it is none."""
        first = await anext(pieces, b"")
        if first[:4] == b"RIFF" or kind in _WAV_TYPES:
            yield await asyncio.to_thread(_from_wav, b"".join([first, *[piece async for piece in pieces]]))
            return
        if kind not in _PCM_TYPES or first[:4] in _OTHERS:
            raise EngineError(f"{self._host}: answered with {kind or 'something'}, not PCM{_said(kind, first)}")
        resampler, piece = Resampler(RATE), first
        while piece:
            if pcm := resampler.feed(piece):
                yield pcm
            piece = await anext(pieces, b"")
        if first:
            yield resampler.flush()

    async def _pieces(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The body in tenths of a second, the last as it is; EngineError where there is no end to it."""
        held, size = bytearray(), 0
        async for data in answer.content.iter_any():
            size += len(data)
            if size > _MOST:
                raise EngineError(f"{self._host}: answered with more than {_MOST} bytes of sound")
            held += data
            while len(held) >= _PIECE:
                yield bytes(held[:_PIECE])
                del held[:_PIECE]
        if held:
            yield bytes(held)


def _kind(answer: aiohttp.ClientResponse) -> str:
    """The media type that it says it is."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _from_wav(content: bytes) -> bytes:
    """The sound of a WAV file."""
    try:
        file = wav.parse(content)
        if file.native:
            return whole_frames(file.data)
        return whole_frames(
            to_bytes(quantize(soxr.resample(file.signal(), file.rate, SAMPLE_RATE, quality="VHQ")))
        )
    except PromptError as error:
        raise EngineError(f"what was answered {error}") from error


def _said(kind: str, content: bytes) -> str:
    """What an answer that is text says, in one line."""
    if kind != "application/json" and not kind.startswith("text/"):
        return ""
    text = " ".join(content[:_LOOKED_AT].decode(errors="replace").split())[:_SHOWN]
    return f": {text}" if text else ""
