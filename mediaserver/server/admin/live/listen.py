"""The admin port's requests to listen to a stream, and to talk on it, as long as it lasts."""

import asyncio
import socket
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from mediaserver.audio.containers import browser_wav, wav
from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.call import Session
from mediaserver.call.listening.listen_in import ListenIn, Side
from mediaserver.call.listening.listeners import Listeners
from mediaserver.call.listening.talker import Role
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.live.websockets import Close, read_messages, serve_websocket, until_first

# The most bytes that wait for a peer in our buffer, and in the kernel's. While that much waits, no more is sent to
# the peer, and the oldest waiting audio is dropped, so that the peer hears the present rather than the past.
_MAX_UNSENT = 16 * 1024
_SEND_BUFFER = 32 * 1024
# The most bytes from a peer that wait in the kernel. Audio that is sent too fast waits at the peer instead, and so
# ends when the peer leaves.
_RECEIVE_BUFFER = 32 * 1024
_MAX_MESSAGE = 64 * 1024  # the most bytes of a message from a peer
_ENDED = Close(WSCloseCode.OK, "the stream has ended")
_LOOK = 0.05  # seconds between two checks whether a peer has taken what it was sent

E = TypeVar("E", bound=StrEnum)


class Player(StrEnum):
    """What plays a WAV file without end: any program, or the `<audio>` element of a browser."""

    ANY = "any"
    AUDIO = "audio"


class ListenRequests:
    """Sends the sound of streams. `session_of` finds the stream that a request names.

    `timeout` returns the seconds within which a peer must take what it is sent.
    """

    def __init__(self, session_of: Callable[[web.Request], Session], timeout: Callable[[], float]) -> None:
        self._session_of, self._timeout = session_of, timeout

    async def serve_wav(self, request: web.Request) -> web.StreamResponse:
        """Send the live sound of a stream as an endless WAV file of 16 bits at 8 kHz, or for `<audio>` elements.

        `side=both` is stereo: the caller left, what we send right. `side=caller` and `side=us` are mono. With
        `for=audio` the file is in the form that browsers play at once. The file ends with the stream.
        """
        side, player = _choice(request, "side", Side.BOTH), _choice(request, "for", Player.ANY)
        listeners = self._session_of(request).operator.listeners
        listener = listeners.start(side, Role.LISTEN, request[GRANT].caller)
        response = web.StreamResponse(headers={"Content-Type": "audio/wav", "Cache-Control": "no-store"})
        converter = browser_wav.BrowserWav(side.channels) if player is Player.AUDIO else None
        try:
            limit_buffers(request)
            await response.prepare(request)
            await response.write(wav.header(side.channels, None) if converter is None else browser_wav.HEADER)
            while pcm := await listener.read():
                await until_taken(request, self._timeout())
                await response.write(pcm if converter is None else converter.feed(pcm))
        except ConnectionError:
            pass  # the peer has gone
        finally:
            listeners.stop(listener)
        return response

    async def serve_audio(self, request: web.Request) -> web.WebSocketResponse:
        """Send the live sound of a stream by WebSocket: 16-bit PCM at 8 kHz, one message for each 20 ms.

        `side` is as in `serve_wav`. If its token has the scope `control`, too, the peer may also send mono PCM,
        which is mixed with the sound that plays on the stream (`role=whisper`) or replaces it (`role=barge`).
        """
        side, role = _choice(request, "side", Side.BOTH), _choice(request, "role", Role.LISTEN)
        if role is not Role.LISTEN:
            request[GRANT].require(Scope.CONTROL)
        session = self._session_of(request)
        listeners = session.operator.listeners

        async def serve(socket: web.WebSocketResponse) -> Close:
            if session.end is not None:  # it has ended while the handshake was answered
                return _ENDED
            listener = listeners.start(side, role, request[GRANT].caller)
            try:
                await until_first(
                    self._send(request, socket, listener, side.channels * FRAME_BYTES),
                    _receive(socket, listeners, listener),
                )
            except ValueError as error:
                return Close(WSCloseCode.INVALID_TEXT, str(error))
            finally:
                listeners.stop(listener)
            return _ENDED

        limit_buffers(request)
        return await serve_websocket(request, serve, _MAX_MESSAGE)

    async def _send(
        self, request: web.Request, socket: web.WebSocketResponse, listener: ListenIn, size: int
    ) -> None:
        """Send what a listener hears, in messages of `size` bytes, until the stream ends."""
        while pcm := await listener.read():
            await until_taken(request, self._timeout())
            for at in range(0, len(pcm), size):
                await socket.send_bytes(pcm[at : at + size])


async def _receive(socket: web.WebSocketResponse, listeners: Listeners, listener: ListenIn) -> None:
    """Play what a peer says, until it has gone. ValueError if a message ends with half a sample."""
    async for message in read_messages(socket):
        if message.type is WSMsgType.BINARY:
            listeners.talk(listener, message.data)


def limit_buffers(request: web.Request) -> None:
    """Limit the kernel's buffers for what a peer has not read yet, and for what we have not read yet."""
    found = request.transport and request.transport.get_extra_info("socket")
    if found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)


async def until_taken(request: web.Request, timeout: float) -> None:
    """Wait until a peer has taken nearly all that was written to it.

    ConnectionError if the peer has gone, or has not read enough after `timeout` seconds, and is disconnected.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while (transport := request.transport) is not None and transport.get_write_buffer_size() > _MAX_UNSENT:
        if asyncio.get_running_loop().time() > deadline:
            transport.abort()
            raise ConnectionError("the peer does not read")
        await asyncio.sleep(_LOOK)
    if transport is None:
        raise ConnectionError("the peer has gone")


def _choice(request: web.Request, key: str, default: E) -> E:
    """The value of `key` in a request's query, else `default`; RefusedError 400 if the enum lacks it."""
    try:
        return type(default)(request.query.get(key, default))
    except ValueError as error:
        words = ", ".join(type(default))
        raise RefusedError(RefusalReason.BAD_QUERY, f"{key} should be one of {words}") from error
