"""Engines of others, on this machine: they speak the wire protocols, and know what the voice of the tests says."""

import asyncio
import contextlib
import io
import json
import wave
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMsgType, web

from tests.speech.recordings import Ear


class Server:
    """What both have. `how` it fails: a word, for its next utterance only; "" where it does not."""

    path = ""

    def __init__(self) -> None:
        self.how = ""
        self.host = ""
        self.asked: list[Any] = []  # what it was told besides the sound

    async def answer(self, request: web.Request) -> web.StreamResponse:
        how, self.how = self.how, ""
        if how == "500":
            return web.Response(status=500, text="out of order")
        if how == "silent":
            await asyncio.sleep(3600)
        return await self.recognise(request, how)

    async def recognise(self, request: web.Request, how: str) -> web.StreamResponse:
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        app = web.Application()
        app.router.add_route("*", self.path, self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.host = f"127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()


class VoskServer(Server):
    """Answers each message, as alphacep's `asr_server.py` does."""

    path = "/"
    CUT = 8  # messages after which it breaks off, where it does
    parts = 0  # messages after each of which a part is over, if any

    async def recognise(self, request: web.Request, how: str) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._talk(socket, request, how)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, request: web.Request, how: str) -> None:
        messages, told, ear = 0, "", Ear()
        async for message in socket:
            if message.type is WSMsgType.TEXT and "config" in message.data:
                self.asked.append(json.loads(message.data)["config"])
                continue
            messages += 1
            if messages == self.CUT and how:
                if how == "cut":
                    assert request.transport is not None
                    request.transport.abort()
                elif how == "closed":
                    await socket.close()
                elif how == "slow":
                    await asyncio.sleep(3600)
                else:
                    await {"binary": socket.send_bytes}.get(how, socket.send_str)(GARBAGE[how])
                continue
            if message.data == '{"eof" : 1}':
                await socket.send_str(self._final(ear.words, told))
                return
            ear.hear(message.data)
            if self.parts and messages % self.parts == 0:
                words = ear.words
                await socket.send_str(self._final(words, told))
                told = words
            else:
                await socket.send_str(json.dumps({"partial": ear.words[len(told) :].strip()}))

    @staticmethod
    def _final(words: str, told: str) -> str:
        text = words[len(told) :].strip()
        result = [{"word": word, "conf": 0.5, "start": 0.0, "end": 0.1} for word in text.split()]
        return json.dumps({"result": result, "text": text})


GARBAGE: dict[str, Any] = {
    "garbage": "no JSON",
    "binary": b"\0\1",
    "list": "[]",
    "other": '{"error": "model"}',
    "half": '{"text": "hal',
}


class OpenAiServer(Server):
    """`POST /v1/audio/transcriptions` as OpenAI's reference has it."""

    path = "/v1/audio/transcriptions"

    async def recognise(self, request: web.Request, how: str) -> web.StreamResponse:
        form = await request.post()
        self.asked.append({**form, "authorization": request.headers.get("Authorization"), "file": None})
        file = form["file"]
        assert isinstance(file, web.FileField)
        assert (file.filename, file.content_type) == ("utterance.wav", "audio/wav")
        with file.file as upload, wave.open(io.BytesIO(upload.read())) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
            pcm = sound.readframes(sound.getnframes())
        if how == "slow":
            await asyncio.sleep(3600)
        if how == "cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"text": "hal')
            assert request.transport is not None
            request.transport.abort()
            return response
        if how == "long":
            return web.Response(text='{"text": "' + "x" * 100_000)
        if how:
            return web.Response(body=GARBAGE[how])
        ear = Ear()
        ear.hear(pcm)
        return web.json_response({"text": ear.words})
