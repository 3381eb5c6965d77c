"""One media stream of the twin: a far end that speaks on one schedule, and hears what the client sends."""

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from tests.timing import UNIT
from tests.twin.far_end import PTIME, SILENCE, FarEnd, Pressed, Utterance, keys, utterance
from tests.twin.faults import Faults, Road
from tests.twin.formats import FatalError, Format, HungUpError, Rtp, RtpHeader, UnusableError

if TYPE_CHECKING:
    from tests.twin.twin import Resource


class TwinStream:
    """What the platform does on one WebSocket, and what it got there.

    `heard_at` is the monotonic time of each message with sound in it, `said_at` of each frame sent; `pressed` has
    the keys; `errors` says what the platform would have dropped or choked on, `ended` why the stream is over.
    """

    def __init__(
        self, resource: "Resource", socket: web.WebSocketResponse, transport: asyncio.Transport, speech: Format
    ) -> None:
        self.resource = resource
        self.started_at: float | None = None  # monotonic; frame n is due at started_at + n * PTIME
        self.heard_at: list[float] = []
        self.said_at: list[float] = []
        self.errors: list[str] = []
        self.pressed: list[Pressed] = []
        self.ended: str | None = None
        self.peer_code: int | None = None  # of the client's close frame, where it sent one
        self.road = Road()
        self.far_end = FarEnd()
        self._heard, self._said = bytearray(), bytearray()
        self._format = speech
        self._socket = socket
        self._transport = transport
        self._code: int | None = None
        self._ending = asyncio.Event()
        self._over = asyncio.Event()

    # what a test does

    def say(self, pcm: bytes, paced: bool = True) -> Utterance:
        """Speak behind what is being said, frame by frame; not `paced`: all at once, when its turn comes."""
        return self._add("voice", utterance(pcm, paced))

    def press(self, digits: str, on_ms: int = 100, gap_ms: int = 100) -> Utterance:
        """Press keys, at once: their tones are heard over what is being said, and nowhere but in the audio."""
        return self._add("keys", keys(digits, on_ms, gap_ms))

    def hang_up(self) -> None:
        """The call ends: all its streams are closed, and the resource is gone."""
        self.resource.hang_up()

    def cut(self, why: str = "cut") -> None:
        """Abort the connection, without a close frame."""
        self.finish(why, None)

    def stall(self) -> None:
        """Read nothing more: pings and close frames go unanswered too."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def inject(self, *messages: bytes | str) -> None:
        """Send messages as they are, now, out of the schedule."""
        for message in messages:
            await self._write(message)

    async def ping(self) -> None:
        await self._socket.ping()

    async def over(self) -> str:
        """Wait for the end of the stream; why it ended."""
        await asyncio.wait_for(self._over.wait(), 10 * UNIT)
        assert self.ended is not None
        return self.ended

    @property
    def faults(self) -> Faults:
        """Of the call, at any time."""
        return self.resource.faults

    @property
    def heard(self) -> bytes:
        """PCM as the far end heard it."""
        return bytes(self._heard)

    @property
    def said(self) -> bytes:
        """PCM as it was sent, with the silence between."""
        return bytes(self._said)

    @property
    def speaking(self) -> bool:
        """Whether anything that was said or pressed is still to be sent."""
        return self.far_end.speaking

    @property
    def rtp_heard(self) -> list[RtpHeader]:
        """The headers of the packets whose sound was heard."""
        assert isinstance(self._format, Rtp)
        return self._format.headers

    # what the twin does

    def finish(self, why: str, code: int | None) -> None:
        """End the stream: with a close frame, or without one (None). The first reason counts."""
        if self.ended is None:
            self.ended, self._code = why, code
            self._ending.set()

    async def run(self, dice: random.Random) -> None:
        """The stream's life, to its end."""
        if self.ended is None:
            await self._live(dice)
        await self._close()
        self._over.set()

    async def _live(self, dice: random.Random) -> None:
        if self.faults.stall:
            self.stall()
        jobs = [self._speak(), self._listen(), self._ending.wait()]
        if self.faults.cut_within is not None:
            jobs.append(self._cut_in(dice.uniform(0, self.faults.cut_within)))
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _add(self, voice: object, said: Utterance) -> Utterance:
        self.far_end.add(voice, said)
        return said

    async def _speak(self) -> None:
        self.started_at = start = time.monotonic()
        try:
            for n in itertools.count():
                await asyncio.sleep(max(0.0, start + n * PTIME - time.monotonic()))
                if not self.faults.mute:
                    await self._speak_once(n)
        except ConnectionError:
            self.finish("the client went away", None)

    async def _speak_once(self, n: int) -> None:
        strange = self.faults.strange
        if strange and n % self.faults.strange_every == 0:
            await self._write(strange[n // self.faults.strange_every % len(strange)])
        while (burst := self.far_end.burst()) is not None:
            await self._send(burst[0], [burst[1]])
        frame, said = self.far_end.frame()
        if frame is not None or not self.resource.quiet:
            await self._send(frame or SILENCE, said)

    async def _send(self, pcm: bytes, said: list[Utterance]) -> None:
        message = self._format.say(pcm)
        at = time.monotonic()
        self._said += pcm
        self.said_at.append(at)
        for one in said:
            digit = one.sent(at)
            if digit is not None:
                self.pressed.append(Pressed(digit, at))
        if isinstance(self._format, Rtp):
            for packet in self.road.take(message, self._format.sequence, self.faults.fates):
                await self._write(packet)
        else:
            await self._write(message)

    async def _write(self, message: bytes | str) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def _listen(self) -> None:
        while self.ended is None:
            message = await self._socket.receive()
            at = time.monotonic()
            if message.type == aiohttp.WSMsgType.BINARY:
                self._hear(message.data, at)
            elif message.type == aiohttp.WSMsgType.TEXT:
                self.errors.append(f"text message: {message.data[:40]}")
            elif message.type == aiohttp.WSMsgType.CLOSE:
                self.peer_code = message.data
                self.finish(f"the client closed with {message.data}", None)
            else:
                if message.type == aiohttp.WSMsgType.ERROR and isinstance(message.data, aiohttp.WebSocketError):
                    self.errors.append(f"WebSocket: {message.data}")
                self.finish("the client went away", None)

    def _hear(self, data: bytes, at: float) -> None:
        before = len(self._heard)
        try:
            for pcm in self._format.hear(data):
                self._heard += pcm
        except UnusableError as error:
            self.errors.append(str(error))
        except FatalError as error:
            self.errors.append(str(error))
            self.cut(f"Asterisk dropped the stream: {error}")
        except HungUpError:
            self.finish("the client hung up", self.faults.close_code)
        if len(self._heard) > before:
            self.heard_at.append(at)
        if self.faults.cut_after is not None and len(self._heard) >= self.faults.cut_after * len(SILENCE):
            self.cut(f"cut after {self.faults.cut_after} frames")

    async def _cut_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.cut(f"cut after {seconds:.3f} s")

    async def _close(self) -> None:
        if self._code is not None and not self._socket.closed:
            self.resume()
            await self._socket.close(code=self._code)
        self._transport.abort()
