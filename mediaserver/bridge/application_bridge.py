"""The bridge of one call to an application. When a connection breaks, the bridge makes another one."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import aiohttp
import structlog

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.bridge.connection import ApplicationConnection
from mediaserver.bridge.dial import ApplicationEndpoint, FinalError, client_session, dial
from mediaserver.call import Call, CloseCode
from mediaserver.errors import PeerError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Source, silence
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.wire.dialects.dialect import CallFacts, Dialect
from mediaserver.wire.events import Audio, Event

# The first and the longest wait between two attempts to dial, in seconds. Waits double; half of each is random.
_FIRST_BACKOFF, _MAX_BACKOFF = 0.25, 4.0
_STABLE_AFTER = 5.0  # seconds; a connection that breaks sooner does not restart the reconnect time-out
_SILENT_AFTER = 15.0  # seconds of a connection after which an application that has said nothing is reported
_PROTOCOL_ERROR = 1002  # the WebSocket close code for a protocol error (RFC 6455, section 7.4.1)

_SILENCE_MS = 1000  # milliseconds of the silence that is repeated while there is no connection

log = structlog.get_logger()


class ApplicationBridge:
    """Bridges a call to an application.

    `make_dialect` makes the dialect of each connection from the facts of the call. `hold` makes the source that is
    played to the caller while there is no connection; without `hold`, the caller hears silence.
    """

    def __init__(
        self,
        call: Call,
        endpoint: ApplicationEndpoint,
        make_dialect: Callable[[CallFacts], Dialect],
        buffer: PlayoutBuffer,
        hold: Callable[[], Source] | None = None,
    ) -> None:
        self._call, self._endpoint, self._make_dialect, self._buffer = call, endpoint, make_dialect, buffer
        self._hold = hold or (lambda: Playlist(Repeated([silence(_SILENCE_MS)], None)))
        self._clock = asyncio.get_running_loop().time
        self._connection: ApplicationConnection | None = None
        self._connections = self._dropped = self._malformed = 0
        self._told_silent = False
        self._failing_since: float | None = None  # time at which dialling began after the last stable connection
        self._backoff = 0.0  # seconds to wait before the next attempt to dial

    async def run(self) -> None:
        """Bridge until the application hangs up and its audio is played; PeerError if the bridge gives up."""
        _ = self._call.keypad  # the first use of the keypad makes it detect digits
        why = "the call ended, or its handler was replaced"
        try:
            with self._call.listen(self._on_event):
                while not await self._run_connection():
                    pass
            why = "the application hung up"
        except PeerError as error:
            why = "the application was given up"
            self._emit(EventKind.BRIDGE_FAILED, why=str(error))
            raise
        finally:
            self._buffer.reset()
            self._emit(
                EventKind.BRIDGE_ENDED,
                connections=self._connections,
                malformed=self._malformed,
                said_s=self._buffer.accepted / SAMPLE_RATE,
                unsent_s=self._dropped / SAMPLE_RATE,
                unheard_s=self._buffer.dropped / SAMPLE_RATE,
                why=why,
            )

    async def _run_connection(self) -> bool:
        """Connect, and serve the connection to its end; return whether the application hung up."""
        client = client_session()
        try:
            async with self._playing(self._hold()):
                websocket = await self._dial(client)
        except BaseException:
            await client.close()
            raise
        began = self._clock()
        self._buffer.reset()  # drop the audio that came on an earlier connection
        dialect = self._make_dialect(self._facts)
        self._connections += 1
        connection = ApplicationConnection(websocket, dialect, self._buffer)
        self._emit(EventKind.BRIDGE_CONNECTED, connections=self._connections)
        try:
            async with self._playing(self._buffer):
                await self._serve(client, connection)
                await self._wait_played()
            return True
        except PeerError as error:
            if self._clock() - began >= _STABLE_AFTER:
                self._failing_since, self._backoff = None, 0.0
            self._emit(EventKind.BRIDGE_LOST, why=str(error))
            if self._is_out_of_time:
                raise
            return False

    async def _serve(self, client: aiohttp.ClientSession, connection: ApplicationConnection) -> None:
        """Send the caller's audio until the application hangs up; PeerError if the connection breaks before.

        At the end, the connection is closed while the call goes on, as the application may not answer the close.
        """
        self._connection, code, began = connection, int(CloseCode.NORMAL), self._clock()
        timer = asyncio.get_running_loop().call_later(_SILENT_AFTER, self._report_silence, began)
        try:
            await connection.wait_closed()
            self._report_silence(began)
        except PeerError:
            code = _PROTOCOL_ERROR
            raise
        finally:
            timer.cancel()
            self._connection = None
            self._dropped += connection.dropped
            self._malformed += connection.malformed
            self._call.close_later(self._close(client, connection, code))

    def _report_silence(self, began: float) -> None:
        """Report once if the application has said nothing so far. `began` is when it was connected."""
        if not self._buffer.accepted and not self._told_silent:
            self._told_silent = True
            self._emit(EventKind.BRIDGE_SILENT, seconds=round(self._clock() - began, 1))

    async def _close(self, client: aiohttp.ClientSession, connection: ApplicationConnection, code: int) -> bool:
        """Close a connection; return whether the application has answered."""
        async with client:
            answered = await connection.close(code)
        if not answered:
            log.warning("bridge close unanswered", stream=self._call.stream.id, host=self._endpoint.host)
        return answered

    @property
    def _facts(self) -> CallFacts:
        """The facts of the call for the next connection. They may change: the peer may name the call later."""
        stream = self._call.stream
        return CallFacts(
            stream.id,
            stream.call or (stream.subject if stream.resource else ""),
            stream.path,
            stream.event_resource,
            stream.variables,
            self._connections,
        )

    async def _dial(self, client: aiohttp.ClientSession) -> OpenWebSocket:
        """Dial until the application accepts; PeerError after the time-out, or if no attempt can succeed."""
        if self._failing_since is None:
            self._failing_since = self._clock()
        while True:
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1))
            self._backoff = min(max(_FIRST_BACKOFF, self._backoff * 2), _MAX_BACKOFF)
            try:
                return await dial(client, self._endpoint)
            except FinalError:
                raise
            except PeerError as error:
                if self._is_out_of_time:
                    raise
                log.warning("bridge dial attempt failed", stream=self._call.stream.id, why=str(error))

    @property
    def _is_out_of_time(self) -> bool:
        """Whether the next attempt would come after the endpoint's reconnect time-out."""
        since = self._failing_since
        return since is not None and self._clock() + self._backoff > since + self._endpoint.reconnect_timeout

    async def _wait_played(self) -> None:
        """Wait until the audio that the application has sent is played."""
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._buffer.add_mark(partial(_set_done, played)):
            await played

    @contextlib.asynccontextmanager
    async def _playing(self, source: Source) -> AsyncIterator[None]:
        """Play `source` until the `async with` block is left."""
        playing = asyncio.ensure_future(self._call.play(source))
        try:
            yield
        finally:
            playing.cancel()
            await asyncio.wait((playing,))
        if not playing.cancelled():
            playing.result()

    def _on_event(self, event: Event) -> None:
        """Send the caller's audio and DTMF keys to the application. The call's keypad has detected the keys."""
        connection = self._connection
        if connection is None:
            return
        if digits := self._call.keypad.drain_digits():
            connection.send_digits(digits)
        if isinstance(event, Audio):
            connection.send_audio(event.pcm)

    def _emit(self, kind: EventKind, **facts: Any) -> None:
        """Emit an event, and log it."""
        facts = {"host": self._endpoint.host} | facts
        self._call.notify(kind, facts)
        write = log.error if kind == EventKind.BRIDGE_FAILED else log.info
        write(kind.replace(".", " "), stream=self._call.stream.id, **facts)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
