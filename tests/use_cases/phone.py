"""A caller on a real WebSocket, who sends a frame every 20 ms, and keeps what it hears, and when."""

import asyncio
import time
from typing import Self

import aiohttp
import numpy as np

from mediaserver.audio.pcm import FRAME_BYTES, PTIME, SILENCE
from tests.timing import eventually


class Phone:
    """Speaks raw PCM frames."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._saying = b""
        self.said_at = 0.0  # when the first frame of the last that was said went out
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self.close_code: int | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(self._url)
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen())]
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()
        await self._client.close()

    async def say(self, pcm: bytes) -> None:
        """From the next frame on, to its end."""
        self._saying, self.said_at = pcm, 0.0
        await eventually(lambda: self.said_at and not self._saying)

    async def hear(self) -> int:
        """Wait for sound to begin and to end, with half a second of silence: how many frames of it there were."""
        before = self.sounding
        await eventually(lambda: self.sounding > before)
        await eventually(lambda: self.quiet_frames > 25)
        return self.sounding - before

    @property
    def quiet_frames(self) -> int:
        """How long nothing has been heard, in frames."""
        for back, frame in enumerate(reversed(self.heard)):
            if audible(frame):
                return back
        return len(self.heard)

    @property
    def sounding(self) -> int:
        """How many frames had sound in them."""
        return sum(map(audible, self.heard))

    @property
    def sound_until(self) -> float:
        """When the last frame with sound in it came."""
        return max((at for at, frame in zip(self.times, self.heard, strict=True) if audible(frame)), default=0.0)

    async def _speak(self) -> None:
        due = time.monotonic()
        while True:
            frame, self._saying = self._saying[:FRAME_BYTES], self._saying[FRAME_BYTES:]
            await self._socket.send_bytes(frame.ljust(FRAME_BYTES, b"\0") if frame else SILENCE)
            if frame:
                self.said_at = self.said_at or time.monotonic()
            due += PTIME
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def _listen(self) -> None:
        async for message in self._socket:
            self.heard.append(message.data)
            self.times.append(time.monotonic())
        self.close_code = self._socket.close_code


def audible(frame: bytes) -> bool:
    return bool(np.abs(np.frombuffer(frame, np.int16).astype(int)).max(initial=0) > 100)
