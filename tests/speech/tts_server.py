"""A TTS server for tests: OpenAI's `/audio/speech` with hibari behind it, and with faults on demand."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "sk-of-the-test"
# Responses without usable audio, by the fault that asks for them.
WRONG: dict[str, dict[str, Any]] = {
    "500": {"status": 500, "text": f"overloaded {TOKEN}"},
    "json": {"text": '{"error": {"message": "no such voice"}}', "content_type": "application/json"},
    "html": {"text": "<html>Sign in</html>", "content_type": "text/html"},
    "mp3": {"body": b"ID3\x03" + bytes(9000), "content_type": "audio/mpeg"},
    "disguised": {"body": b"ID3\x03" + bytes(9000), "content_type": "application/octet-stream"},
    "garbage": {"body": b"\x89PNG\r\n" * 999, "content_type": "image/png"},
    "empty": {"content_type": "audio/pcm"},
    "bad wav": {"body": b"RIFF....WAVEgarbage", "content_type": "audio/wav"},
}


class TtsServer:
    """`fault` names what it does wrong, "" for nothing. `pcm` is its last speech: 16-bit, 24 kHz."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.fault = ""
        self.pcm = b""
        self.url = ""

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"message": "Incorrect API key provided"}}, status=401)
        body = await request.json()
        self.requests.append(body)
        self.pcm = self._synthesise(body)
        if self.fault == "refused":
            assert request.transport is not None
            request.transport.close()
            await asyncio.sleep(60)
        if self.fault == "slow":
            await asyncio.sleep(60)
        if self.fault in ("wav", "streamed wav"):
            return web.Response(body=_wav(self.pcm, self.fault), content_type="audio/wav")
        if self.fault in WRONG:
            return web.Response(**WRONG[self.fault])
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await answer.prepare(request)
        end = len(self.pcm) // 2 if self.fault == "half" else len(self.pcm)
        for at in range(0, end, 7777):  # an odd number, which cuts samples apart
            await answer.write(self.pcm[at : min(at + 7777, end)])
        if self.fault == "half":
            assert request.transport is not None
            request.transport.close()
        if self.fault == "endless":
            with contextlib.suppress(ConnectionError):
                while True:
                    await answer.write(bytes(1 << 20))
        return answer

    def _synthesise(self, body: dict[str, Any]) -> bytes:
        import numpy as np

        sound = _hibari()(body["input"], speed=body["speed"], seed=0)
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
async def tts_server() -> AsyncIterator[TtsServer]:
    """A running server."""
    server = TtsServer()
    application = web.Application()
    application.router.add_post("/v1/audio/speech", server._speak)
    async with TestServer(application) as listening:
        server.url = str(listening.make_url("/v1"))
        yield server
