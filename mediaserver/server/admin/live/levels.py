"""The admin port's WebSockets that send the audio levels of the streams that a peer chooses."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

import pydantic
from aiohttp import web

from mediaserver.call import Session
from mediaserver.call.listening.level_meter import LevelMeter, take_levels
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.live.websockets import (
    SHUTTING_DOWN,
    Close,
    read_messages,
    serve_websocket,
    until_first,
)
from mediaserver.server.admin.schemas.requests import MAX_WATCHED, WatchedStreams

_INTERVAL = 0.2  # seconds between two messages with levels
_AT_A_TIME = 20  # number of streams measured in one turn of the event loop, which takes some 0.1 ms
_CHANGED_AT_A_TIME = 8  # number of meters started or stopped in one turn, which takes some 0.2 ms
_MAX_MESSAGE = 16 * 1024  # the most bytes of a message from a peer


class Meters:
    """The level meters of the streams that one peer has chosen. Streams that do not exist are left out.

    `change` and `measure` let other tasks run in between. These tasks may end streams, or run the other of the two
    methods, which may close meters.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._meters: dict[str, LevelMeter] = {}
        self.wanted: set[str] | None = None  # the peer's new choice of streams; None once `change` has applied it

    async def change(self) -> None:
        """Meter the streams newly chosen by the peer, and no others; without a new choice, do nothing."""
        if self.wanted is None:
            return
        wanted, self.wanted = self.wanted, None
        async for stream in _with_turns(self._meters.keys() - wanted):
            if (meter := self._meters.pop(stream, None)) is not None:
                meter.close()
        async for stream in _with_turns(wanted - self._meters.keys()):
            session = self._engine.streams.get(stream)
            if session is not None and session.end is None:
                self._meters[stream] = session.operator.meter_levels()

    async def measure(self) -> dict[str, dict[str, object]]:
        """The levels, by stream, of all chosen streams that are still in progress, and what plays on them."""
        found: dict[str, dict[str, object]] = {}
        streams = list(self._meters)
        for at in range(0, len(streams), _AT_A_TIME):
            present = {
                stream: session
                for stream in streams[at : at + _AT_A_TIME]
                if (session := self._metered(stream)) is not None
            }
            levels = take_levels([self._meters[stream] for stream in present])
            for (stream, session), level in zip(present.items(), levels, strict=True):
                operator = session.operator
                found[stream] = {**level, "playing": operator.playing, "late": operator.late + operator.skipped}
            await asyncio.sleep(0)  # lets frames be sent
        return found

    def _metered(self, stream: str) -> Session | None:
        """The session of a stream that has a meter, None if it has none. Drops the meter of an ended stream."""
        session, meter = self._engine.streams.get(stream), self._meters.get(stream)
        if meter is None or (session is not None and session.end is None):
            return session if meter is not None else None
        del self._meters[stream]
        meter.close()
        return None


async def _with_turns(streams: Iterable[str]) -> AsyncIterator[str]:
    """Yield the streams one by one, and let other tasks run in between, so that no call is delayed."""
    for n, stream in enumerate(streams, start=1):
        yield stream
        if not n % _CHANGED_AT_A_TIME:
            await asyncio.sleep(0)


class LevelStreams:
    """Sends levels to peers of the admin port."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Disconnect all peers, as the server is shutting down."""
        self._closed.set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Send the levels of `streams=<id>,<id>` in dBFS by WebSocket, five times a second. Silence is null.

        With them come the name of what plays, and how many frames were late or left out so far. The peer may look
        at other streams by a text message, `{"streams": ["<id>"]}`.
        """
        ids = [part for part in request.query.get("streams", "").split(",") if part]
        if len(ids) > MAX_WATCHED:
            raise RefusedError(RefusalReason.BAD_QUERY, f"streams: at most {MAX_WATCHED} at a time")

        async def serve(socket: web.WebSocketResponse) -> Close:
            meters = Meters(self._engine)
            meters.wanted = set(ids)
            try:
                await meters.change()
                await until_first(_send(socket, meters), _receive(socket, meters), self._closed.wait())
            finally:
                meters.wanted = set()
                await meters.change()
            return SHUTTING_DOWN

        return await serve_websocket(request, serve, _MAX_MESSAGE)


async def _send(socket: web.WebSocketResponse, meters: Meters) -> None:
    """Send the levels every 200 ms. A peer that reads slowly gets fewer messages, each with the latest 200 ms.

    A new choice of streams takes effect only after a message, because to start a meter costs the stream some work.
    The new streams are in the message after the next 200 ms.
    """
    while True:
        await asyncio.sleep(_INTERVAL)
        if levels := await meters.measure():
            await socket.send_str(json.dumps({"levels": levels}))
        await meters.change()


async def _receive(socket: web.WebSocketResponse, meters: Meters) -> None:
    """Read which streams the peer chooses, until it has gone. An invalid message closes the WebSocket."""
    async for message in read_messages(socket):
        try:
            meters.wanted = set(WatchedStreams.model_validate_json(message.data).streams)
        except pydantic.ValidationError:
            text = f'should be {{"streams": ["<id>"]}}, with at most {MAX_WATCHED} streams'
            await socket.close(code=1008, message=text.encode())
            return
