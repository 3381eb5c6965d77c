"""One media stream of the twin: a far end that speaks on one schedule, and hears what the client sends."""

import asyncio
import functools
import itertools
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from tests.kernel import unacknowledged
from tests.twin.audiosocket import FatalError, HungUpError, UnusableError
from tests.twin.buffers import Playout
from tests.twin.codecs import coded
from tests.twin.far_end import FRAME_BYTES, SILENCE, Pressed, Utterance, keys
from tests.twin.faults import Faults, Road
from tests.twin.formats import Format, Rtp, RtpHeader
from tests.twin.party import Party
from tests.twin.schedule import Lead, Schedule

if TYPE_CHECKING:
    from tests.twin.resources import Resource


class TwinStream(Party):
    """What the platform does on one WebSocket, and what it got there.

    `heard_at` is the time of each message with sound in it, `pressed` has the keys, `media` is set once there is
    media. `dropped` is the PCM that came while Asterisk was not attached, before that or after the call's end.
    `first_at` is the time of the client's first message.
    """

    def __init__(
        self, resource: "Resource", socket: web.WebSocketResponse, transport: asyncio.Transport, speech: Format
    ) -> None:
        super().__init__()
        self.resource = resource
        self.media = asyncio.Event()
        self.pressed: list[Pressed] = []
        self.dropped = b""
        self.dropped_frames = 0
        self.first_at: float | None = None
        self.flushed = b""  # PCM that the far end's buffer lost, where the resource has one
        self.peer_code: int | None = None  # of the client's close frame, where it sent one
        self.road = Road()
        self._format = speech
        self._socket = socket
        self._transport = transport
        self._code: int | None = None
        self._abort = False
        self._lead = Lead()
        self._playout = Playout(resource.buffer)
        self._held: deque[Callable[[], Awaitable[None]]] = deque()  # while the network stands still
        self._held_until = 0.0

    # what a test does

    def press(self, digits: str, on_ms: int = 100, gap_ms: int = 100) -> Utterance:
        """Press keys, at once: their tones are heard over what is being said, and nowhere but in the audio."""
        return self._add("keys", keys(digits, on_ms, gap_ms))

    def press_rfc4733(self, digits: str) -> None:
        """Press keys of a telephone that sends RFC 4733 events, as nearly every SIP phone does.

        Seen: of these nothing reaches the stream of a call, neither a message nor a tone. So nothing happens here.
        """

    def hang_up(self) -> None:
        """The call ends, and its streams with it."""
        self.resource.hang_up()

    def cut(self, why: str = "cut") -> None:
        """Abort the connection, without a close frame."""
        if self.end(why):
            self._abort = True

    def stall(self) -> None:
        """Read nothing more: pings and close frames go unanswered too."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def stall_media(self, seconds: float) -> None:
        """The network to the client stands still. Then all that was due comes in one burst; nothing is lost."""
        self._held_until = time.monotonic() + seconds

    async def inject(self, *messages: bytes | str) -> None:
        """Send messages as they are, now, out of the schedule."""
        for message in messages:
            await self._write(message)

    async def ping(self) -> None:
        await self._socket.ping()

    @property
    def faults(self) -> Faults:
        """Of the call, at any time."""
        return self.resource.faults

    @property
    def attached(self) -> bool:
        """Whether Asterisk is there: from the media's start to the call's end."""
        return self.started_at is not None and self.resource.state == "progressing"

    @property
    def speaking(self) -> bool:
        """Whether anything that was said or pressed is still to be sent."""
        return self.far_end.speaking or bool(self._held)

    @property
    def unsent(self) -> int:
        """How many bytes the client's kernel does not have yet: they are lost if the call ends now."""
        waiting = self._transport.get_write_buffer_size()
        return waiting + unacknowledged(self._transport.get_extra_info("socket"))

    @property
    def most_ahead(self) -> int:
        """The most frames that the client was ahead of real time: those heard since the media began, less those
        due by then. A client that starts late is behind, and what it catches up does not count."""
        return self._lead.most

    @property
    def most_waiting(self) -> int:
        """The most frames of the client's that waited at the far end for their turn to be played: its latency."""
        return self._playout.most_waiting

    @property
    def rtp_heard(self) -> list[RtpHeader]:
        """The headers of the packets whose sound was heard."""
        assert isinstance(self._format, Rtp)
        return self._format.headers

    # what the twin does

    def finish(self, why: str, code: int | None) -> None:
        """End the stream: with a close frame, or without one (None), which is how the platform does it."""
        if self.end(why):
            self._code = code

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

    async def _speak(self) -> None:
        if self.resource.media_after:  # seen: the upgrade is answered before Asterisk is attached
            await asyncio.sleep(self.resource.media_after)
        if self.resource.state != "progressing":  # read: nothing ever comes of a call that is over
            await self._ending.wait()
            return
        schedule = Schedule()
        self.started_at = schedule.started_at
        self.media.set()
        try:
            for n in itertools.count():
                await schedule.frame(n)
                if not self.faults.mute and self.attached:
                    await self._speak_once(n)
                await self._release()
        except ConnectionError:
            self.finish("the client went away", None)

    async def _speak_once(self, n: int) -> None:
        strange = self.faults.strange
        if strange and n % self.faults.strange_every == 0:
            message = strange[n // self.faults.strange_every % len(strange)]
            self._held.append(functools.partial(self._write, message))
        while (burst := self.far_end.burst()) is not None:
            self._held.append(functools.partial(self._send, burst[0], [burst[1]]))
            await self._release()
        frame, said = self.far_end.frame()
        if frame is not None or not self.resource.quiet:
            self._held.append(functools.partial(self._send, frame or SILENCE, said))

    async def _release(self) -> None:
        while self._held and time.monotonic() >= self._held_until:
            await self._held.popleft()()

    async def _send(self, pcm: bytes, said: list[Utterance]) -> None:
        message = self._format.say(pcm)
        at = time.monotonic()
        self._said += coded(pcm, self.resource.codec)
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
                self._on_message(message.data, at)
            elif message.type == aiohttp.WSMsgType.TEXT:
                self.errors.append(f"text message: {message.data[:40]}")
            elif message.type == aiohttp.WSMsgType.CLOSE:
                self.peer_code = message.data
                self.finish(f"the client closed with {message.data}", None)
            else:
                if message.type == aiohttp.WSMsgType.ERROR and isinstance(message.data, aiohttp.WebSocketError):
                    self.errors.append(f"WebSocket: {message.data}")
                self.finish("the client went away", None)

    def _on_message(self, data: bytes, at: float) -> None:
        hear = self._hear if self.attached else self._drop
        before = len(self._heard)
        if self.first_at is None:
            self.first_at = at
        try:
            for pcm in self._format.hear(data, self.errors.append):
                hear(pcm, at)
        except UnusableError as error:
            self.errors.append(str(error))
        except FatalError as error:
            self.errors.append(str(error))
            if self.attached:
                self.cut(f"Asterisk dropped the stream: {error}")
        except HungUpError:
            if self.attached:
                self.finish("the client hung up", self.faults.close_code)
        if len(self._heard) > before:
            self.heard_at.append(at)
        if self.faults.cut_after is not None and len(self._heard) >= self.faults.cut_after * FRAME_BYTES:
            self.cut(f"cut after {self.faults.cut_after} frames")

    def _drop(self, pcm: bytes, _: float) -> None:
        """Seen: what comes before Asterisk is attached is lost. Guess: a hang-up or an error in it, too."""
        self.dropped += pcm
        self.dropped_frames += _frames(pcm)
        if isinstance(self._format, Rtp):
            self._format.headers.pop()

    def _hear(self, pcm: bytes, at: float) -> None:
        assert self.started_at is not None
        self._heard += pcm
        for _ in range(_frames(pcm)):
            self._lead.frame(at - self.started_at)
            flushed = self._playout.take(at) * FRAME_BYTES
            if flushed:
                self.flushed += self._heard[-flushed:]
                del self._heard[-flushed:]

    async def _cut_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.cut(f"cut after {seconds:.3f} s")

    async def _close(self) -> None:
        if self._code is not None and not self._socket.closed:
            self.resume()
            await self._socket.close(code=self._code)
            self._transport.abort()
        elif self._abort:
            self._transport.abort()
        else:
            self._transport.close()


def _frames(pcm: bytes) -> int:
    return -(-len(pcm) // FRAME_BYTES)
