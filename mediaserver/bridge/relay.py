"""A stream with an application at its other end: connections one after another, and what is heard meanwhile."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import aiohttp
import structlog

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.bridge.dial import FinalError, Target, client_session, dial
from mediaserver.bridge.line import Line
from mediaserver.call import Call, CloseCode
from mediaserver.errors import PeerError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Source
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.wire.dialects.dialect import CallFacts, Dialect
from mediaserver.wire.events import Audio, Event

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0  # seconds between attempts; doubled each time, half of it up to chance
_LASTS = 5.0  # seconds after which a connection counts as one: what breaks sooner is the same trouble still
_PROTOCOL_ERROR = 1002  # RFC 6455, section 7.4.1

log = structlog.get_logger()


class Relay:
    """Hands a stream to an application.

    `speaks` is the protocol; `hold` gives what is heard while there is no connection.
    """

    def __init__(
        self,
        call: Call,
        target: Target,
        speaks: Callable[[CallFacts], Dialect],
        buffer: PlayoutBuffer,
        hold: Callable[[], Source] | None = None,
    ) -> None:
        self._call, self._target, self._speaks, self._buffer = call, target, speaks, buffer
        self._hold = hold or (lambda: buffer)
        self._clock = asyncio.get_running_loop().time
        self._line: Line | None = None
        self._connections = self._dropped = self._malformed = 0
        self._trouble: float | None = None  # since when there has been no connection that lasted
        self._wait = 0.0  # seconds before the next attempt

    async def run(self) -> None:
        """Until the application hangs up and what it said is heard; PeerError when it is given up."""
        _ = self._call.keypad  # digits count from the beginning
        try:
            async with client_session() as client:
                with self._call.listen(self._hear):
                    while not await self._connection(client):
                        pass
        except PeerError as error:
            self._tell(EventKind.BRIDGE_FAILED, why=str(error))
            raise
        finally:
            self._buffer.reset()
            self._tell(
                EventKind.BRIDGE_ENDED,
                connections=self._connections,
                malformed=self._malformed,
                said_s=self._buffer.accepted / SAMPLE_RATE,
                unsent_s=self._dropped / SAMPLE_RATE,
                unheard_s=self._buffer.dropped / SAMPLE_RATE,
            )

    async def _connection(self, client: aiohttp.ClientSession) -> bool:
        """Connect, and stay as long as it lasts; whether the application hung up."""
        async with self._playing(self._hold()):
            websocket = await self._reach(client)
        began = self._clock()
        self._buffer.reset()  # a connection begins anew
        application = self._speaks(self._facts)
        self._connections += 1
        self._line = line = Line(websocket, application, self._buffer)
        self._tell(EventKind.BRIDGE_CONNECTED, connections=self._connections)
        code = CloseCode.NORMAL
        try:
            async with self._playing(self._buffer):
                await line.read()
                self._line = None
                await line.close(code)
                await self._said()
            return True
        except PeerError as error:
            code = _PROTOCOL_ERROR
            if self._clock() - began >= _LASTS:
                self._trouble, self._wait = None, 0.0
            self._tell(EventKind.BRIDGE_LOST, why=str(error))
            if self._is_hopeless:
                raise
            return False
        finally:
            self._line = None
            self._dropped += line.dropped
            self._malformed += line.malformed
            await line.close(code)

    @property
    def _facts(self) -> CallFacts:
        """What the next connection is told of the stream; the peer may have named its call since the last one."""
        stream = self._call.stream
        return CallFacts(
            stream.id,
            stream.call or (stream.subject if stream.resource else ""),
            stream.path,
            stream.event_resource,
            stream.variables,
            self._connections,
        )

    async def _reach(self, client: aiohttp.ClientSession) -> OpenWebSocket:
        """Dial until it answers; PeerError where it does not for too long, or never will."""
        if self._trouble is None:
            self._trouble = self._clock()
        while True:
            await asyncio.sleep(self._wait * random.uniform(0.5, 1))
            self._wait = min(max(_FIRST_WAIT, self._wait * 2), _LONGEST_WAIT)
            try:
                return await dial(client, self._target)
            except FinalError:
                raise
            except PeerError as error:
                if self._is_hopeless:
                    raise
                log.warning("bridge: tries again", stream=self._call.stream.id, why=str(error))

    @property
    def _is_hopeless(self) -> bool:
        """Whether the next attempt would come too late."""
        since = self._trouble
        return since is not None and self._clock() + self._wait > since + self._target.reconnect_timeout

    async def _said(self) -> None:
        """Until what the application said is heard."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._buffer.add_mark(partial(_settle, heard)):
            await heard

    @contextlib.asynccontextmanager
    async def _playing(self, source: Source) -> AsyncIterator[None]:
        """Have a source heard meanwhile."""
        playing = asyncio.ensure_future(self._call.play(source))
        try:
            yield
        finally:
            playing.cancel()
            await asyncio.wait((playing,))
        if not playing.cancelled():
            playing.result()

    def _hear(self, event: Event) -> None:
        """Pass on what the caller says and presses; the keypad has heard it already."""
        line = self._line
        if line is None:
            return
        if digits := self._call.keypad.drain_digits():
            line.press(digits)
        if isinstance(event, Audio):
            line.hear(event.pcm)

    def _tell(self, kind: str, **facts: Any) -> None:
        """An event, and a line of the log."""
        facts = {"host": self._target.host} | facts
        self._call.notify(kind, facts)
        tell = log.error if kind == EventKind.BRIDGE_FAILED else log.info
        tell(kind.replace(".", " "), stream=self._call.stream.id, **facts)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
