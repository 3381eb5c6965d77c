"""A twin of Asterisk's chan_websocket: it dials a URL, tells its format, and talks in codec bytes and texts.

Its behaviour was seen on a running Asterisk, unless a line says otherwise.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import time
import uuid
from typing import NamedTuple, Self

import aiohttp

from tests.twin.chan_queue import Event, MediaQueue
from tests.twin.chan_texts import Command, CommandError, Texts, parse
from tests.twin.codecs import coded, decode, encode, wire_bytes
from tests.twin.far_end import Utterance
from tests.twin.party import Party
from tests.twin.schedule import Schedule


class RefusedError(Exception):
    """This Asterisk does not take the server's reply."""


class Told(NamedTuple):
    """A text from the application."""

    text: str
    at: float  # monotonic


class ChanWebSocket(Party):
    """`async with ChanWebSocket(url) as channel`: a call that is with the application, until one of them ends it.

    `heard` is the payload that was played to the caller, one frame each `ptime`. `holes` counts the ticks between
    two frames at which there was none; `heard` has nothing for them. What is said is PCM at the format's rate.
    `commands` has all texts that came; `cut_frames` counts what was in the queue when the call ended.
    `audio_first` frames come before MEDIA_START (read: asterisk#1712), of what was said before it was entered.
    """

    def __init__(
        self,
        url: str,
        format: str = "slin",  # noqa: A002 - Asterisk's name
        json: bool = False,
        subprotocol: bool = True,
        ptime: int = 20,
        audio_first: int = 0,
        connection_id: str = "media1",
        channel_id: str | None = None,
        xoff: int = 900,
        xon: int = 800,
        most: int = 1000,
    ) -> None:
        super().__init__(format, ptime)
        self.channel_id = channel_id or f"ws-{uuid.uuid4().hex[:8]}"
        self.subprotocol: str | None = None  # that was agreed on
        self.commands: list[Told] = []
        self.answered = False
        self.hung_up = False  # by the application's command
        self.close_code: int | None = None
        self.cut_frames = 0
        self.holes = 0
        self._url, self._format, self._ptime = url, format, ptime
        self._protocols = ("media",) if subprotocol else ()
        self._audio_first = audio_first
        self._json = json
        self._texts = Texts(connection_id, self.channel_id, json)
        self._levels = {"xon_level": xon, "xoff_level": xoff}
        size = wire_bytes(format, ptime)
        self._queue = MediaQueue(size, encode(bytes(self._frame_bytes), format), xoff, xon, most)
        self._outbox: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._idle = 0  # ticks without a frame since the last one
        self._extensions: str | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._look_at_reply)
        self._session = aiohttp.ClientSession(trace_configs=[trace])
        try:
            self._socket = await self._session.ws_connect(
                self._url, protocols=self._protocols, compress=0, max_msg_size=0
            )
            if self._extensions is not None:
                self.vanish()
                await self._socket.close()
                raise RefusedError(f"Sec-WebSocket-Extensions: {self._extensions}")
        except BaseException:
            await self._session.close()
            raise
        self.subprotocol = self._socket.protocol
        self._life = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up("the test is over")
        await self._life
        await self._session.close()

    # what a test does

    def press(self, digits: str) -> None:
        """Press keys: a text for each, at the key's end, and no tone in the audio."""
        for digit in digits:
            self._post(self._texts.dtmf_end(digit))

    def hang_up(self, why: str = "hung up here") -> None:
        """The caller hangs up. The connection is closed with 1000, as in all other ends of Asterisk's."""
        self.end(why)

    def vanish(self) -> None:
        """The network is gone, without a close frame."""
        self.end("vanished")
        connection = self._socket.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)  # uvloop's own refuses to

    @property
    def heard_pcm(self) -> bytes:
        """What was heard as PCM, at the format's own rate."""
        return decode(self.heard, self._format)

    @property
    def queued(self) -> int:
        """Frames that the caller has not heard yet."""
        return self._queue.length

    @property
    def overflowed(self) -> int:
        """Frames that did not fit in the queue."""
        return self._queue.overflowed

    @property
    def lost_bytes(self) -> int:
        """Of messages that were no whole frames."""
        return self._queue.lost_bytes

    # what the twin does

    async def _look_at_reply(self, _: object, __: object, params: aiohttp.TraceRequestEndParams) -> None:
        """Seen: any extension in the reply is refused."""
        self._extensions = params.response.headers.get("Sec-WebSocket-Extensions")

    async def _live(self) -> None:
        jobs = (self._run(), self._write(), self._listen(), self._ending.wait())
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.cut_frames = self._queue.length
            with contextlib.suppress(ConnectionError):
                while not self._outbox.empty():
                    await self._send(self._outbox.get_nowait())
            await self._socket.close(code=aiohttp.WSCloseCode.OK)
            self.close_code = self._socket.close_code
            self._over.set()

    async def _run(self) -> None:
        for _ in range(self._audio_first):
            self._speak()
        self._post(self._texts.media_start(self._format, self._ptime))
        schedule = Schedule(self._ptime / 1000)
        self.started_at = schedule.started_at
        for n in itertools.count():
            await schedule.frame(n)
            self._speak()
            self._play()

    def _speak(self) -> None:
        while (burst := self.far_end.burst()) is not None:
            self._say(burst[0], [burst[1]])
        frame, said = self.far_end.frame()
        self._say(frame or bytes(self._frame_bytes), said)

    def _say(self, pcm: bytes, said: list[Utterance]) -> None:
        at = time.monotonic()
        self._said += coded(pcm, self._format)
        self.said_at.append(at)
        for one in said:
            one.sent(at)
        self._post(encode(pcm, self._format))

    def _play(self) -> None:
        """One frame more is heard. Guess: one clock is for both directions."""
        frame, events = self._queue.play()
        if frame is None:
            self._idle += 1
        else:
            self.holes += self._idle if self._heard else 0
            self._idle = 0
            self._heard += frame
            self.heard_at.append(time.monotonic())
        self._tell(events)

    async def _listen(self) -> None:
        while self.ended is None:
            message = await self._socket.receive()
            if message.type == aiohttp.WSMsgType.BINARY:
                self._tell(self._queue.media(message.data))
            elif message.type == aiohttp.WSMsgType.TEXT:
                self._on_text(message.data)
            elif message.type == aiohttp.WSMsgType.CLOSE:
                self.end(f"the application closed with {message.data}")
            else:
                self.end("the application went away")

    def _on_text(self, text: str) -> None:
        self.commands.append(Told(text, time.monotonic()))
        try:
            self._obey(parse(text, self._json))
        except CommandError as error:
            self.errors.append(f"{error}: {text[:40]}")
            if error.told:
                self._post(self._texts.error(str(error)))

    def _obey(self, command: Command) -> None:
        match command.name:
            case "ANSWER":
                self.answered = True
            case "HANGUP":
                self.hung_up = True
                self.end("the application hung up")
            case "FLUSH_MEDIA":
                self._queue.flush()
            case "MARK_MEDIA":
                self._queue.mark(command.id)
            case "PAUSE_MEDIA" | "CONTINUE_MEDIA":
                self._queue.paused = command.name == "PAUSE_MEDIA"
            case "REPORT_QUEUE_DRAINED":
                self._queue.report_drained()
            case "START_MEDIA_BUFFERING":
                self._queue.start_buffering()
            case "STOP_MEDIA_BUFFERING":
                self._tell(self._queue.stop_buffering(command.id))
            case "GET_STATUS":
                self._post(self._status())

    def _status(self) -> str:
        queue = self._queue
        flags = {"queue_full": queue.full, "bulk_media": queue.buffering, "media_paused": queue.paused}
        return self._texts.status(queue_length=queue.length, **self._levels, **flags)

    def _tell(self, events: list[Event]) -> None:
        for name, id_ in events:
            self._post(self._texts.event(name, id_))

    def _post(self, message: bytes | str) -> None:
        self._outbox.put_nowait(message)

    async def _write(self) -> None:
        try:
            while True:
                await self._send(await self._outbox.get())
        except ConnectionError:
            self.end("the application went away")

    async def _send(self, message: bytes | str) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)
