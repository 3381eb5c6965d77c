"""One connection to an application: what the caller says goes out while there is room, what comes in is read."""

import asyncio
import contextlib
from functools import partial
from typing import Any

from aiohttp import WebSocketError, WSMessage, WSMsgType

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.call import CloseCode
from mediaserver.errors import PeerError, ProtocolError
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.transport.dialled import OpenWebSocket, random_key
from mediaserver.wire import websocket as frames
from mediaserver.wire.dialects.dialect import Clear, Dialect, HangUp, Mark, Message, Play
from mediaserver.wire.websocket import mask

_WAITS = SAMPLE_RATE * SAMPLE_BYTES  # bytes, a second, of what the caller said that wait for a slow application
_ROOM = 4096  # bytes in the transport above which nothing is added
_MOST = 1 << 20  # bytes there of marks and keys, above which it does not read
_UNIT = 1024  # bytes of a message that make work like another message
_TURN = 16  # messages read before others have their turn
_MAX_RATE = 2000  # messages read a second; the rest waits at the sender
_NONSENSE = 50  # messages in a row that the protocol does not have: it speaks another
HEARTBEAT = 10.0  # seconds between pings, and for the answer to one
_GOODBYE = 2.0  # seconds for the answer to our close


class Line:
    """A connection while it lasts."""

    def __init__(self, websocket: OpenWebSocket, application: Dialect, buffer: PlayoutBuffer) -> None:
        self._websocket, self._transport = websocket, websocket.transport
        self._application, self._buffer = application, buffer
        self._waiting = bytearray()
        self._sent = 0  # samples of the caller's, those dropped included
        self.dropped = 0  # samples, of them, that the application was too slow for
        self.malformed = 0  # messages that the protocol does not have
        self._ponged = asyncio.Event()
        self._left = ""  # why we left it
        for message in application.serialize_start():
            self._write(message)
        # Tasks: a read that is cancelled would leave aiohttp unable to close properly.
        self._tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._ping()),
        ]

    def hear(self, pcm: bytes) -> None:
        """Send what the caller says; where the application takes less, what is a second old gives way."""
        waiting = self._waiting
        waiting += pcm
        while len(waiting) >= FRAME_BYTES and self._transport.get_write_buffer_size() < _ROOM:
            self._write(
                self._application.serialize_audio(bytes(waiting[:FRAME_BYTES]), self._sent * 1000 // SAMPLE_RATE)
            )
            del waiting[:FRAME_BYTES]
            self._sent += FRAME_BYTES // SAMPLE_BYTES
        over = len(waiting) - _WAITS
        if over > 0:
            over += -over % SAMPLE_BYTES
            del waiting[:over]
            self.dropped += over // SAMPLE_BYTES
            self._sent += over // SAMPLE_BYTES

    def press(self, digits: str) -> None:
        """Tell of keys."""
        for digit in digits:
            self._write(self._application.serialize_digit(digit))

    def _heard(self, name: str) -> None:
        self._write(self._application.serialize_mark(name))

    def _write(self, message: Message) -> None:
        """Send a message at once, whatever waits."""
        if self._transport.is_closing():
            return
        made = frames.text(message) if isinstance(message, str) else frames.binary(message)
        self._transport.write(mask(made, random_key()))
        if self._transport.get_write_buffer_size() > _MOST:
            self._leave("it does not read what it is told")

    async def read(self) -> None:
        """Until the application hangs up; PeerError where it goes without a word.

        It may say as much as it likes, but no more is read than others have time for.
        """
        if why := await asyncio.shield(self._tasks[0]):
            raise PeerError(why)

    async def _read(self) -> str:
        """Read to the end: why it is trouble, or nothing."""
        throttle, nonsense = _Throttle(), 0
        while True:
            message = await self._websocket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    try:
                        if not self._take(message.data):
                            return ""
                        nonsense = 0
                    except ProtocolError as error:
                        self.malformed += 1
                        nonsense += 1
                        if nonsense >= _NONSENSE:
                            return f"it does not speak the protocol: {error}"
                case WSMsgType.PING:
                    with contextlib.suppress(ConnectionError):  # what it said before it went is still to be read
                        await self._websocket.pong(message.data)
                case WSMsgType.PONG:
                    self._ponged.set()
                case _:
                    return self._left or _trouble(message)
            await throttle.took(len(message.data))

    async def _ping(self) -> None:
        """Ask again and again whether it is still there; without an answer, let it go."""
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(HEARTBEAT)
                self._ponged.clear()
                await self._websocket.ping()
                try:
                    await asyncio.wait_for(self._ponged.wait(), HEARTBEAT)
                except TimeoutError:
                    self._leave("it does not answer pings")
                    return

    def _leave(self, why: str) -> None:
        """Let it go, and have it told why."""
        self._left = why
        self._transport.abort()

    def _take(self, message: Message) -> bool:
        """Do what the application says; whether it goes on."""
        match self._application.parse(message):
            case Play(pcm):
                self._buffer.push_audio(pcm)
            case Mark(name):
                if not self._buffer.add_mark(partial(self._heard, name)):
                    raise ProtocolError("more marks than may be pending")
            case Clear():
                self._buffer.clear()
            case HangUp():
                return False
        return True

    async def close(self, code: int) -> None:
        """Say goodbye, and leave."""
        try:
            if not self._websocket.closed:
                self._write(self._application.serialize_stop())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GOODBYE):  # aiohttp's own is for each message that still comes
                        await self._websocket.close(code=code)
        finally:
            self._transport.abort()
            await self._let_go()

    async def _let_go(self) -> None:
        """Leave nothing running, and nothing that refers to itself."""
        tasks, self._tasks = self._tasks, []  # one that was cancelled keeps its frames
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if (error := self._websocket.exception()) is not None:  # and so does aiohttp's
            error.__traceback__ = error.__context__ = error.__cause__ = None


class _Throttle:
    """Keeps an application that says very much from holding up all others."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._second, self._count, self._turn = self._clock(), 0, _TURN

    async def took(self, size: int) -> None:
        """A message of so many bytes was read: wait until the next one may be."""
        self._count += 1 + size // _UNIT
        if self._count < self._turn:
            return
        left = self._second + 1 - self._clock()
        full = self._count >= _MAX_RATE
        await asyncio.sleep(left if full and left > 0 else 0)
        if full or left <= 0:
            self._second, self._count = self._clock(), 0
        self._turn = self._count + _TURN


def _trouble(message: WSMessage) -> str:
    """Why the end of a connection is trouble, or nothing where the application hung up."""
    if isinstance(message.data, WebSocketError):
        too_big = message.data.code == CloseCode.TOO_BIG
        return "its message is too big" if too_big else "it broke the WebSocket protocol"
    if message.type is not WSMsgType.CLOSE:
        return "the connection broke off"
    code = message.data or CloseCode.NO_STATUS
    return "" if code in (CloseCode.NORMAL, CloseCode.NO_STATUS) else f"it closed with {code}"
