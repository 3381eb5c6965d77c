"""One stream that we dial, through all its connections.

What happens on it is what its path says, as if VoIPBIN had dialled that path. A handler sees one stream, however
often its connection breaks: playout waits, and goes on where it was.
"""

import asyncio
from dataclasses import replace
from functools import partial

import aiohttp
import stamina
import structlog

from mediaserver.client import advice, dial
from mediaserver.client.line import Line
from mediaserver.errors import ConfigError, PeerError, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.playout.pacer import Pacer
from mediaserver.secrets import reveal
from mediaserver.session import CloseCode, End, EndReason, Session, Stream
from mediaserver.sockets import random_key
from mediaserver.streams import connection
from mediaserver.streams.engine import Engine
from mediaserver.streams.routes import Route
from mediaserver.wire.encapsulation import Wire, WireSettings

_GONE_AWAY = End(EndReason.DRAINED, CloseCode.GOING_AWAY)
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.1, 5.0, 0.2  # seconds between attempts
_LASTING = 5  # frames: a connection that breaks sooner, or answers no ping, was none
# Closed so, the platform may take us back: going away, broken, its own fault, restart, full, bad gateway.
_PASSING_CODES = {1001, 1006, 1011, 1012, 1013, 1014}
_GONE = {400, 404, 410}  # how the platform says of a call that was there that it is over
_PASSING_STATUS = {408, 425, 429}  # and 5xx

log = structlog.get_logger()


class _BrokenError(PeerError):
    """The connection is gone, and may come back."""


class Attachment:
    """One stream that we dial."""

    def __init__(
        self,
        engine: Engine,
        client: aiohttp.ClientSession,
        stream: Stream,
        route: Route,
        handler: Handler,
        wire: WireSettings,
    ) -> None:
        self._engine, self._client, self._route, self._handler = engine, client, route, handler
        self._wire_settings = wire
        self._line: Line | None = None  # while there is a connection
        first = Wire(wire, random_key)
        stall_timeout = engine.settings.server.stall_timeout
        pacer = Pacer(engine.ticker, first, dial.NOWHERE, self._give_up_line, stall_timeout)
        self.session = Session(stream, first, engine.library, pacer, outbox=engine.backend, speech=engine.speech)
        self.session.connected = False
        self._player: asyncio.Task[End] | None = None

    def start(self) -> asyncio.Task[End]:
        """Take a place among the streams, at once, and dial; the task tells how it ended."""
        self._engine.streams.begin(self.session, self._route)
        return asyncio.create_task(self._run())

    async def _run(self) -> End:
        """Dial, and stay on it until the handler is done, the peer closes it, or there is no getting back."""
        session, streams = self.session, self._engine.streams
        calling = asyncio.create_task(self._stay_connected())
        over = session.over
        try:
            await asyncio.wait((calling, over), return_when=asyncio.FIRST_COMPLETED)
            session.finish(await calling if calling.done() else _GONE_AWAY)
        except Exception:
            log.exception("dialling failed", stream=session.stream.id)
            session.finish(End(EndReason.ERROR, CloseCode.INTERNAL_ERROR))
        finally:
            session.finish(_GONE_AWAY)  # the first reason stands
            end = await (self._player if self._player is not None else session.run(_nothing()))
            if self._line is not None and end is not None:
                await self._line.close(end)
            calling.cancel()
            await asyncio.wait((calling,))
            streams.over(session)
            for problem in advice.on_quality(session):
                log.warning(problem, stream=session.stream.id)
        return session.end or _GONE_AWAY

    async def _stay_connected(self) -> End:
        """Connection after connection, until one ends for good; how it did."""
        session, loop = self.session, asyncio.get_running_loop()
        resource = session.stream.resource
        good, short, broken = loop.time(), 0, None
        with structlog.contextvars.bound_contextvars(stream=session.stream.id):
            while True:
                try:
                    line = await self._connect(broken, good, short)
                except (RefusedError, PeerError) as error:
                    return self._lost(error, broken)
                except ConfigError as error:  # the token's file is gone
                    return End(EndReason.REFUSED, CloseCode.ABNORMAL, str(error))
                end = await self._talk(line)
                closed = end.reason is EndReason.PEER_CLOSED
                passing = end.reason is EndReason.PEER_VANISHED or (closed and end.code in _PASSING_CODES)
                if session.over.done():
                    return end
                if not passing:
                    return end if end.normal else replace(end, text=advice.on_close(end.code, resource))
                if line.frames >= _LASTING and line.answered:
                    good, short = loop.time(), 0
                else:
                    short += 1
                broken = _BrokenError(advice.on_break(end.code, line.frames if short else 0))
                session.lost += line.unconfirmed
                log.warning("connection lost", resource=resource, code=end.code, in_doubt=line.unconfirmed)
                session.notify("stream.disconnected", {"code": end.code, "in_doubt": line.unconfirmed})

    async def _connect(self, broken: _BrokenError | None, good: float, short: int) -> Line:
        """A connection, after as many attempts as there is time for since the last good one.

        The break itself counts as the first failure, so that a platform that restarts is not stormed.
        """
        settings, resource = self._engine.settings.voipbin, self.session.stream.resource
        left = good + settings.reconnect_timeout - asyncio.get_running_loop().time()
        if broken is not None and left <= 0:
            raise broken
        async for attempt in stamina.retry_context(
            on=partial(_may_pass, resource),
            attempts=None,
            timeout=max(left, 0.001),
            wait_initial=min(_FIRST_WAIT * 2**short, _LONGEST_WAIT),
            wait_max=_LONGEST_WAIT,
            wait_jitter=_JITTER,
        ):
            with attempt:
                if broken is not None and attempt.num == 1:
                    raise broken
                token = reveal(settings.token, "voipbin.token")
                url = dial.media_stream_url(settings.api, resource, self._wire_settings.encapsulation, token)
                return Line(await dial.dial(self._client, url, autoping=False))
        raise AssertionError("stamina returns or raises")

    async def _talk(self, line: Line) -> End:
        """Hear and speak over one connection, to its end."""
        session, wire = self.session, Wire(self._wire_settings, random_key)
        connection.bound_send_buffer(line.transport)
        session.connect(wire, line.transport)
        self._line = line
        reading = asyncio.create_task(line.read(session))
        try:
            await line.first_message(wire, reading)
            if reading.done():
                return await reading
            if self._player is not None:
                session.resume()
                session.notify("stream.reconnected", {"lost": session.lost})
                log.info("connected again", resource=session.stream.resource, lost=session.lost)
            else:
                self._player = asyncio.create_task(connection.handle(session, self._handler))
                session.notify("stream.started", {})
                log.info("attached", resource=session.stream.resource, path=session.stream.path)
            return await reading
        finally:
            reading.cancel()
            session.disconnect()
            line.drop()
            self._line = None

    def _lost(self, error: RefusedError | PeerError, broken: _BrokenError | None) -> End:
        """There is no getting (back) to it: how that ends the stream."""
        resource = self.session.stream.resource
        if broken is not None and isinstance(error, RefusedError) and error.status in _GONE:
            log.info("not there any more: it is over", resource=resource)
            return End(EndReason.PEER_CLOSED, CloseCode.NORMAL)
        has_token = bool(self._engine.settings.voipbin.token.get_secret_value())
        text = f"{resource}: {error}" if error is broken else advice.on_failure(error, resource, has_token)
        if isinstance(error, RefusedError):
            return End(EndReason.REFUSED, CloseCode.ABNORMAL, text)
        return End(EndReason.PEER_VANISHED if broken else EndReason.UNREACHABLE, CloseCode.ABNORMAL, text)

    def _give_up_line(self) -> None:
        """The peer takes nothing: perhaps another connection is better."""
        if self._line is not None:
            self._line.transport.abort()


async def _nothing() -> None:
    """What a handler does that never gets to work."""


def _may_pass(resource: str, error: Exception) -> bool:
    """Whether another attempt may go better."""
    if isinstance(error, RefusedError):
        passing = error.status in _PASSING_STATUS or error.status >= 500
    else:
        passing = isinstance(error, PeerError)
    if passing and not isinstance(error, _BrokenError):
        log.warning("not connected: trying again", resource=resource, why=str(error))
    return passing
