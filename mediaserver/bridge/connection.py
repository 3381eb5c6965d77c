"""One WebSocket connection to an application: sends the caller's audio, executes the application's commands."""

import asyncio
import contextlib
from functools import partial

from aiohttp import WSMsgType

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.call import CloseCode, End, EndReason
from mediaserver.errors import PeerError, ProtocolError
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.support.timers import Timers
from mediaserver.transport.connection import handle_control
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.transport.keepalive import Keepalive
from mediaserver.wire import websocket as frames
from mediaserver.wire.dialects.dialect import Clear, Dialect, HangUp, Mark, Message, Play

_MAX_WAITING_BYTES = SAMPLE_RATE * SAMPLE_BYTES  # the most bytes of unsent audio of the caller: one second
_AUDIO_HIGH_WATER = 4096  # bytes in the transport's buffer above which audio waits
_MAX_BUFFERED_BYTES = 1 << 20  # bytes in the transport's buffer above which the application counts as stuck
_MESSAGE_UNIT = 1024  # bytes of a message that count as one more message, because they take as long to process
_YIELD_EVERY = 16  # number of messages that are read before other tasks get a turn of the event loop
_MAX_RATE = 2000  # the most messages that are read per second; further ones wait, which slows the application down
_MAX_MALFORMED = 50  # number of invalid messages in a row after which the connection to the application ends
HEARTBEAT = 10.0  # seconds between pings, and for the answer to a ping
_CLOSE_TIMEOUT = 2.0  # seconds that the application has to answer the server's close frame


class ApplicationConnection:
    """An open WebSocket connection to an application. `close` must be called in the end."""

    def __init__(self, websocket: OpenWebSocket, dialect: Dialect, buffer: PlayoutBuffer) -> None:
        self._websocket, self.transport = websocket, websocket.transport
        self._dialect, self._buffer = dialect, buffer
        self._waiting = bytearray()  # audio from the caller that is not sent yet
        self._sent_samples = 0  # number of samples from the caller that were sent or dropped
        self.dropped = 0  # number of samples from the caller that were dropped, as the application was too slow
        self.malformed = 0  # number of messages from the application that its dialect does not have
        self._closing = False  # whether the server closes the connection, and executes no more commands
        self._abort_reason = ""  # why the server aborted the connection, "" if it did not
        for message in dialect.serialize_start():
            self._write(message)
        self._keepalive = Keepalive(
            websocket,
            Timers(),
            first_after=HEARTBEAT,
            interval=HEARTBEAT,
            timeout=HEARTBEAT,
            on_timeout=partial(self._abort, "it does not answer pings"),
        )
        self._reading: asyncio.Task[str] | None = asyncio.create_task(self._read())

    def send_audio(self, pcm: bytes) -> None:
        """Send audio from the caller, 16-bit PCM at 8 kHz, in whole frames, if the transport's buffer has room.

        If the application reads too slowly, waiting audio older than a second is dropped and counted.
        """
        waiting = self._waiting
        waiting += pcm
        while len(waiting) >= FRAME_BYTES and self.transport.get_write_buffer_size() < _AUDIO_HIGH_WATER:
            ms = self._sent_samples * 1000 // SAMPLE_RATE
            self._write(self._dialect.serialize_audio(bytes(waiting[:FRAME_BYTES]), ms))
            del waiting[:FRAME_BYTES]
            self._sent_samples += FRAME_BYTES // SAMPLE_BYTES
        excess = len(waiting) - _MAX_WAITING_BYTES
        if excess > 0:
            excess += -excess % SAMPLE_BYTES
            del waiting[:excess]
            self.dropped += excess // SAMPLE_BYTES
            self._sent_samples += excess // SAMPLE_BYTES

    def send_digits(self, digits: str) -> None:
        """Send the application a message for each DTMF key that the caller pressed."""
        for digit in digits:
            self._write(self._dialect.serialize_digit(digit))

    def _send_mark(self, name: str) -> None:
        if not self._closing:  # no message may follow the close frame (RFC 6455, section 5.5.1)
            self._write(self._dialect.serialize_mark(name))

    def _write(self, message: Message) -> None:
        """Send a message at once, before audio that waits to be sent."""
        if self.transport.is_closing():
            return
        frame = frames.text(message) if isinstance(message, str) else frames.binary(message)
        self._websocket.write(frame)
        if self.transport.get_write_buffer_size() > _MAX_BUFFERED_BYTES:
            self._abort("it does not read what we send")

    async def wait_closed(self) -> None:
        """Wait until the application hangs up; PeerError if the connection ends in any other way.

        The application may send any amount of data, but its messages are read at a limited rate, so that other
        streams get their turns.
        """
        if self._reading is not None and (reason := await asyncio.shield(self._reading)):
            raise PeerError(reason)

    async def _read(self) -> str:
        """Read messages until the connection ends; return why it failed, or "" if the application hung up."""
        throttle, malformed = _Throttle(), 0
        while True:
            message = await self._websocket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                try:
                    if not self._closing and not self._execute(message.data):
                        return ""
                    malformed = 0
                except ProtocolError as error:
                    self.malformed += 1
                    malformed += 1
                    if malformed >= _MAX_MALFORMED:
                        return f"it sent an invalid message: {error}"
            elif (end := await handle_control(self._websocket, message, self._websocket.on_pong)) is not None:
                return self._abort_reason or _describe_failure(end)
            await throttle.wait(len(message.data))

    def _abort(self, reason: str) -> None:
        self._abort_reason = reason
        self.transport.abort()

    def _execute(self, message: Message) -> bool:
        """Execute the command in a message; return False for a hang-up. ProtocolError if there is no command."""
        match self._dialect.parse(message):
            case Play(pcm):
                self._buffer.push_audio(pcm)
            case Mark(name):
                if not self._buffer.add_mark(partial(self._send_mark, name)):
                    raise ProtocolError("too many pending marks")
            case Clear():
                self._buffer.clear()
            case HangUp():
                return False
        return True

    async def close(self, code: int) -> bool:
        """Send the dialect's last message and a close frame with `code`, and end the connection.

        Returns whether the application has answered the close frame in time, or the connection was closed before.
        """
        self._closing = True
        try:
            if self._websocket.closed:
                return True
            self._write(self._dialect.serialize_stop())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._websocket.close(code=code)
            return self._websocket.close_code != CloseCode.ABNORMAL
        finally:
            self.transport.abort()
            await self._stop()

    async def _stop(self) -> None:
        """Stop reading and pinging, and break reference cycles that would keep the connection in memory."""
        self._keepalive.stop()
        self._websocket.release()
        reading, self._reading = self._reading, None  # a cancelled task's stack frames refer to `self`
        if reading is not None:
            reading.cancel()
            await asyncio.wait((reading,))


class _Throttle:
    """Bounds the rate at which an application's messages are read, so that other streams are not delayed."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._second, self._count, self._yield_at = self._clock(), 0, _YIELD_EVERY

    async def wait(self, size: int) -> None:
        """Wait until the next message may be read, after a message of `size` bytes was read."""
        self._count += 1 + size // _MESSAGE_UNIT
        if self._count < self._yield_at:
            return
        left = self._second + 1 - self._clock()
        full = self._count >= _MAX_RATE
        await asyncio.sleep(left if full and left > 0 else 0)
        if full or left <= 0:
            self._second, self._count = self._clock(), 0
        self._yield_at = self._count + _YIELD_EVERY


def _describe_failure(end: End) -> str:
    """In words, why the end of a connection is a failure; "" if the application hung up."""
    match end.reason:
        case EndReason.OVERSIZE:
            return "its message is too big"
        case EndReason.PROTOCOL_ERROR:
            return "it broke the WebSocket protocol"
        case EndReason.PEER_CLOSED:
            return "" if end.code in (CloseCode.NORMAL, CloseCode.NO_STATUS) else f"it closed with {end.code}"
    return "the connection broke off"
