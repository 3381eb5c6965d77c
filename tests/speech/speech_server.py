"""A server with OpenAI's `/audio/speech`, with hibari behind it, that may also do everything wrong."""

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "sk-of-the-test"


class SpeechServer:
    """`fault`: what it does wrong. `pcm`: what it has said, 24 kHz."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fault = ""
        self.pcm = b""
        self.url = ""

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"message": "Incorrect API key provided"}}, status=401)
        asked = await request.json()
        self.asked.append(asked)
        self.pcm = self._said(asked)
        match self.fault:
            case "500":
                return web.json_response({"error": {"message": f"overloaded {TOKEN}"}}, status=500)
            case "json":
                return web.json_response({"error": {"message": "no such voice"}})
            case "html":
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case "mp3":
                return web.Response(body=b"ID3\x03" + bytes(9000), content_type="audio/mpeg")
            case "disguised":
                return web.Response(body=b"ID3\x03" + bytes(9000), content_type="application/octet-stream")
            case "empty":
                return web.Response(content_type="audio/pcm")
            case "wav" | "streamed wav":
                return web.Response(body=_wav(self.pcm, self.fault), content_type="audio/wav")
            case "bad wav":
                return web.Response(body=b"RIFF....WAVEgarbage", content_type="audio/wav")
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await answer.prepare(request)
        end = len(self.pcm) // 2 if self.fault == "half" else len(self.pcm)
        for at in range(0, end, 7777):  # odd
            await answer.write(self.pcm[at : min(at + 7777, end)])
        if self.fault == "half":
            assert request.transport is not None
            request.transport.close()
        if self.fault == "endless":
            with contextlib.suppress(ConnectionError):
                while True:
                    await answer.write(bytes(1 << 20))
        return answer

    def _said(self, asked: dict[str, Any]) -> bytes:
        import numpy as np

        sound = _hibari()(asked["input"], speed=asked["speed"], seed=0)
        return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


@functools.cache
def _hibari() -> Any:
    import hibari

    return hibari.Hibari()


def _wav(pcm: bytes, kind: str) -> bytes:
    import io
    import wave

    found = io.BytesIO()
    with wave.open(found, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(pcm)
    content = found.getvalue()
    return content if kind == "wav" else content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:]


@contextlib.asynccontextmanager
async def speech_server() -> AsyncIterator[SpeechServer]:
    """One that listens."""
    server = SpeechServer()
    application = web.Application()
    application.router.add_post("/v1/audio/speech", server._speak)
    async with TestServer(application) as listening:
        server.url = str(listening.make_url("/v1"))
        yield server
