"""STT servers for tests: they implement the wire protocols, and recognise the tests' recordings."""

import asyncio
import contextlib
import io
import json
import wave
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMsgType, web

from tests.speech.recordings import RecordingMatcher


class SttServer:
    """The base of both servers. `fault` says how the next utterance fails, and is used once; "" for none."""

    path = ""

    def __init__(self) -> None:
        self.fault = ""
        self.host = ""
        self.requests: list[Any] = []  # the parameters of each, without the audio

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fault, self.fault = self.fault, ""
        if fault == "500":
            return web.Response(status=500, text="out of order")
        if fault == "silent":
            await asyncio.sleep(3600)
        return await self.recognise(request, fault)

    async def recognise(self, request: web.Request, fault: str) -> web.StreamResponse:
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["SttServer"]:
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


class VoskServer(SttServer):
    """Answers each message of the WebSocket, as alphacep's `asr_server.py` does."""

    path = "/"
    CUT = 8  # messages after which a fault occurs
    messages_per_segment = 0  # after so many a segment ends; 0: only at the end of the utterance

    async def recognise(self, request: web.Request, fault: str) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._converse(socket, request, fault)
        return socket

    async def _converse(self, socket: web.WebSocketResponse, request: web.Request, fault: str) -> None:
        messages, reported, matcher = 0, "", RecordingMatcher()
        async for message in socket:
            if message.type is WSMsgType.TEXT and "config" in message.data:
                self.requests.append(json.loads(message.data)["config"])
                continue
            messages += 1
            if messages == self.CUT and fault:
                if fault == "cut":
                    assert request.transport is not None
                    request.transport.abort()
                elif fault == "closed":
                    await socket.close()
                elif fault == "slow":
                    await asyncio.sleep(3600)
                else:
                    await {"binary": socket.send_bytes}.get(fault, socket.send_str)(GARBAGE[fault])
                continue
            if message.data == '{"eof" : 1}':
                await socket.send_str(self._final(matcher.words, reported))
                return
            matcher.feed(message.data)
            if self.messages_per_segment and messages % self.messages_per_segment == 0:
                words = matcher.words
                await socket.send_str(self._final(words, reported))
                reported = words
            else:
                await socket.send_str(json.dumps({"partial": matcher.words[len(reported) :].strip()}))

    @staticmethod
    def _final(words: str, reported: str) -> str:
        text = words[len(reported) :].strip()
        result = [{"word": word, "conf": 0.5, "start": 0.0, "end": 0.1} for word in text.split()]
        return json.dumps({"result": result, "text": text})


GARBAGE: dict[str, Any] = {
    "garbage": "no JSON",
    "binary": b"\0\1",
    "list": "[]",
    "other": '{"error": "model"}',
    "half": '{"text": "hal',
}


class OpenAiServer(SttServer):
    """`POST /v1/audio/transcriptions`, as OpenAI's API reference describes it."""

    path = "/v1/audio/transcriptions"

    async def recognise(self, request: web.Request, fault: str) -> web.StreamResponse:
        form = await request.post()
        self.requests.append({**form, "authorization": request.headers.get("Authorization"), "file": None})
        file = form["file"]
        assert isinstance(file, web.FileField)
        assert (file.filename, file.content_type) == ("utterance.wav", "audio/wav")
        with file.file as upload, wave.open(io.BytesIO(upload.read())) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
            pcm = sound.readframes(sound.getnframes())
        if fault == "slow":
            await asyncio.sleep(3600)
        if fault == "cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"text": "hal')
            assert request.transport is not None
            request.transport.abort()
            return response
        if fault == "long":
            return web.Response(text='{"text": "' + "x" * 100_000)
        if fault:
            return web.Response(body=GARBAGE[fault])
        matcher = RecordingMatcher()
        matcher.feed(pcm)
        return web.json_response({"text": matcher.words})
