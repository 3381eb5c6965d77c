"""One stream that we dial, through all its connections.

What happens on it is what its path says, as if VoIPBIN had dialled that path. A handler sees one stream, however
often its connection breaks: playout waits, and goes on where it was.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import stamina
import structlog

from mediaserver.call import CloseCode, End, EndReason, Stream
from mediaserver.client import advice, dial
from mediaserver.client.connection import CALL_OVER, PlatformConnection
from mediaserver.client.dial import UpgradeRefusedError
from mediaserver.client.voipbin import Credential, Platform, credential_of
from mediaserver.errors import ConfigError, PeerError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.routing.route import Route
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine
from mediaserver.transport import connection
from mediaserver.transport.dialled import random_key
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.wire import Wire

_GONE_AWAY = End(EndReason.DRAINED, CloseCode.GOING_AWAY)
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.1, 5.0, 0.2  # seconds between attempts
_LASTING = 0.1  # seconds: a connection that breaks sooner, or answers no ping, was none
_SOON = 1.0  # seconds: a peer that does not take what we send breaks the connection sooner
# Closed so, the platform may take us back: going away, broken, its own fault, restart, full, bad gateway.
_PASSING_CODES = {1001, 1006, 1011, 1012, 1013, 1014}
_GONE = {400, 404, 410}  # how the platform says of a call that was there that it is over
_PASSING_STATUS = {408, 425, 429}  # and 5xx

log = structlog.get_logger()


class _BrokenError(PeerError):
    """The connection is gone, and may come back."""


@dataclass
class _Past:
    """What the connections of a stream have shown so far: whether to go on trying, and what may be wrong."""

    good_at: float  # when the last one broke that was any good, by the loop's clock
    short: int = 0  # how many broke since then
    had_media: bool = False  # whether any carried sound to us
    dropped: int = 0  # how many broke soon after we began to send
    taken: bool = False  # whether any did not, so that the peer takes what we send

    def add(self, line: PlatformConnection, code: int, now: float) -> None:
        """One more has broken.

        After media, a connection without any is no good, and shows nothing: the call may be over, which the
        platform does not tell.
        """
        poorer = self.had_media and not line.received_media
        if line.seconds >= _LASTING and line.answered and not poorer:
            self.good_at, self.short = now, 0
        else:
            self.short += 1
        self.had_media |= line.received_media
        self.taken |= line.seconds >= _SOON
        self.dropped += bool(line.frames) and code == CloseCode.ABNORMAL and not poorer

    @property
    def refuses_our_audio(self) -> bool:
        """Whether the peer seems to drop us for what we send. Once shows nothing: the call may have ended soon."""
        return self.dropped > 1 and not self.taken


class Attachment:
    """One stream that we dial."""

    def __init__(
        self,
        engine: Engine,
        platform: Platform,
        stream: Stream,
        route: Route,
        handler: Handler,
        wire: WireSettings,
    ) -> None:
        self._engine, self._platform, self._route, self._handler = engine, platform, route, handler
        self._wire_settings = wire
        self._line: PlatformConnection | None = None  # while there is a connection
        self._credential: Credential | None = None  # that was last shown
        first = Wire(wire, random_key)
        self.session = sessions.open_session(engine, stream, first, dial.NOT_CONNECTED, self._give_up_line)
        self.session.connected = False
        self._player: asyncio.Task[End] | None = None

    def start(self) -> asyncio.Task[End]:
        """Take a place among the streams, at once, and dial; the task tells how it ended."""
        self._engine.streams.register(self.session, self._route)
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
            streams.unregister(session)
            for problem in advice.on_quality(session):
                log.warning(problem, stream=session.stream.id)
        return session.end or _GONE_AWAY

    async def _stay_connected(self) -> End:
        """Connection after connection, until one ends for good; how it did."""
        session, clock = self.session, asyncio.get_running_loop().time
        resource = session.stream.resource
        broken = None
        with structlog.contextvars.bound_contextvars(stream=session.stream.id):
            await self._platform.turn()  # the wait for it does not count as time spent trying
            past = _Past(clock())
            while True:
                try:
                    line = await self._connect(broken, past)
                except PeerError as error:
                    return self._lost(error, broken)
                except ConfigError as error:  # the credential's file is gone
                    return End(EndReason.REFUSED, CloseCode.ABNORMAL, str(error))
                end = await self._talk(line)
                closed = end.reason is EndReason.PEER_CLOSED
                passing = end.reason is EndReason.PEER_VANISHED or (closed and end.code in _PASSING_CODES)
                if session.over.done():
                    return end
                if not passing:
                    return end if end.normal else replace(end, text=self._on_close(end.code))
                past.add(line, end.code, clock())
                broken = _BrokenError(advice.DROPPED if past.refuses_our_audio else advice.on_break(end.code))
                session.lost += line.unconfirmed
                log.warning(
                    "connection lost", resource=resource, code=end.code, why=str(broken), in_doubt=line.unconfirmed
                )
                session.call.notify(
                    EventKind.STREAM_DISCONNECTED, {"code": end.code, "in_doubt": line.unconfirmed}
                )

    def _on_close(self, code: int) -> str:
        return advice.on_close(code, self.session.stream.resource, self._credential)

    async def _connect(self, broken: _BrokenError | None, past: _Past) -> PlatformConnection:
        """A connection, after as many attempts as there is time for since the last good one.

        The break itself counts as the first failure, so that a platform that restarts is not stormed.
        """
        settings, resource = self._engine.settings.voipbin, self.session.stream.resource
        deadline = past.good_at + settings.reconnect_timeout
        left = deadline - asyncio.get_running_loop().time()
        if broken is not None and left <= 0:
            raise broken
        async for attempt in stamina.retry_context(
            on=partial(_may_pass, resource, deadline),
            attempts=None,
            timeout=max(left, 0.001),
            wait_initial=min(_FIRST_WAIT * 2**past.short, _LONGEST_WAIT),
            wait_max=_LONGEST_WAIT,
            wait_jitter=_JITTER,
        ):
            with attempt:
                if attempt.num > 1:
                    await self._platform.turn()
                elif broken is not None:
                    raise broken
                self._credential = credential_of(self._engine.settings.voipbin)
                encapsulation = self._wire_settings.encapsulation
                websocket = await self._platform.dial(resource, encapsulation, self._credential)
                return PlatformConnection(websocket, past.had_media)
        raise AssertionError("stamina returns or raises")

    async def _talk(self, line: PlatformConnection) -> End:
        """Hear and speak over one connection, to its end."""
        session, wire = self.session, Wire(self._wire_settings, random_key)
        connection.bound_send_buffer(line.transport)
        session.connect(wire, line.transport, self._engine.settings.voipbin.start_timeout)
        self._line = line
        reading = asyncio.create_task(line.read(session))
        try:
            if self._player is not None:
                session.resume()
                session.call.notify(EventKind.STREAM_RECONNECTED, {"lost": session.lost})
                log.info("connected again", resource=session.stream.resource, lost=session.lost)
            else:
                self._player = asyncio.create_task(sessions.run_handler(session, self._handler))
                session.call.notify(EventKind.STREAM_STARTED, session.wire_facts)
                log.info("attached", resource=session.stream.resource, path=session.stream.path)
            return await reading
        finally:
            reading.cancel()
            session.disconnect()
            line.abort()
            self._line = None

    def _lost(self, error: PeerError, broken: _BrokenError | None) -> End:
        """There is no getting (back) to it: how that ends the stream."""
        resource = self.session.stream.resource
        if broken is not None and isinstance(error, UpgradeRefusedError) and error.status in _GONE:
            log.info("not there any more: it is over", resource=resource)
            return CALL_OVER
        text = f"{resource}: {error}" if error is broken else advice.on_failure(error, resource, self._credential)
        if isinstance(error, UpgradeRefusedError):
            return End(EndReason.REFUSED, CloseCode.ABNORMAL, text)
        return End(EndReason.PEER_VANISHED if broken else EndReason.UNREACHABLE, CloseCode.ABNORMAL, text)

    def _give_up_line(self) -> None:
        """The peer takes nothing: perhaps another connection is better."""
        if self._line is not None:
            self._line.transport.abort()


async def _nothing() -> None:
    """What a handler does that never gets to work."""


def _may_pass(resource: str, deadline: float, error: Exception) -> bool | float:
    """Whether another attempt may go better; the seconds to wait before it, where the server tells them."""
    if isinstance(error, UpgradeRefusedError):
        passing = error.status in _PASSING_STATUS or error.status >= 500
    else:
        passing = isinstance(error, PeerError)
    if passing and not isinstance(error, _BrokenError):
        log.warning("not connected: trying again", resource=resource, why=str(error))
    if passing and isinstance(error, UpgradeRefusedError) and error.retry_after:
        return max(0.0, min(error.retry_after, deadline - asyncio.get_running_loop().time()))
    return passing
