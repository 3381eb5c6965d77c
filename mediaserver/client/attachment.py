"""One stream that this server dials, over all its connections.

The stream's URL path decides its handler, as if VoIPBIN had dialled this URL path. However often the connection
breaks, the handler sees one stream: playout pauses until the next connection, and resumes where it was.
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
from mediaserver.client.platform_control import PlatformControl
from mediaserver.client.voipbin import Credential, Platform, credential_of
from mediaserver.errors import ConfigError, PeerError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.routing.route import Route
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine
from mediaserver.transport import connection
from mediaserver.transport.masking import MaskedTransport
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.wire import Wire

_GONE_AWAY = End(EndReason.DRAINED, CloseCode.GOING_AWAY)
# The first and the longest wait between attempts to dial, and the random time added to a wait, in seconds.
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.1, 5.0, 0.2
_USABLE_AFTER = 0.1  # the seconds after which a connection counts as usable, if it has answered a ping
_MANY = 50  # the number of sent frames (1 s) after which it is clear that the peer understands the server's audio
# Close codes after which dialling again may work: going away, broken, internal error, restart, full, bad gateway.
_TRANSIENT_CODES = {1001, 1006, 1011, 1012, 1013, 1014}
_OVER_STATUS = {400, 404, 410}  # HTTP statuses that say, in answer to dialling again, that the call is over
_TRANSIENT_STATUS = {408, 425, 429}  # HTTP statuses, besides 5xx, after which dialling again may work

log = structlog.get_logger()


class _BrokenError(PeerError):
    """The connection of a stream broke, and may be dialled again."""


@dataclass
class _ConnectionHistory:
    """The record of a stream's broken connections. It decides how long dialling goes on, and what is reported."""

    usable_at: float  # the time at which the last usable connection broke, by the loop's clock
    failures: int = 0  # the number of connections that have broken since the time `usable_at`
    had_media: bool = False  # whether the peer has sent audio on any of the connections
    dropped: int = 0  # the number of connections that broke without a close frame, although audio was sent to them
    accepted: bool = False  # whether one connection took `_MANY` frames, so that the peer understands the audio

    def record(self, line: PlatformConnection, code: int, now: float) -> None:
        """Add the connection `line`, which broke with the close code `code` at the time `now`.

        If an earlier connection had media and this one had none, this one counts as a failure, but not as a sign
        that the peer refuses the server's audio: the call may be over, and the platform does not say so.
        """
        poorer = self.had_media and not line.received_media
        if line.seconds >= _USABLE_AFTER and line.answered and not poorer:
            self.usable_at, self.failures = now, 0
        else:
            self.failures += 1
        self.had_media |= line.received_media
        self.accepted |= line.frames >= _MANY
        self.dropped += bool(line.frames) and code == CloseCode.ABNORMAL and not poorer

    @property
    def refuses_our_audio(self) -> bool:
        """Whether the peer seems to break connections because of the server's audio: two or more broke."""
        return self.dropped > 1 and not self.accepted


class Attachment:
    """One stream that this server dials, and dials again when its connection breaks."""

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
        self._line: PlatformConnection | None = None  # the present connection to the platform, if there is one
        self._credential: Credential | None = None  # the credential that was used for dialling the last time
        first = Wire(wire, dialled=True)
        self.session = sessions.open_session(engine, stream, first, dial.NOT_CONNECTED, self._abort_connection)
        self.session.connected = False
        self._control = PlatformControl(platform, stream.resource, engine.settings.flows.source)
        self.session.control = self._control
        self._handling: asyncio.Task[End] | None = None  # the task of the handler; None until the first connection

    def start(self) -> asyncio.Task[End]:
        """Register the stream at once, and dial it in a task. The task's result is how the stream ended."""
        self._engine.streams.register(self.session, self._route)
        return asyncio.create_task(self._run())

    async def _run(self) -> End:
        """Stay connected until the handler is done, the peer closes for good, or dialling again fails."""
        session, streams = self.session, self._engine.streams
        connecting = asyncio.create_task(self._stay_connected())
        over = session.over
        try:
            await asyncio.wait((connecting, over), return_when=asyncio.FIRST_COMPLETED)
            session.finish(await connecting if connecting.done() else _GONE_AWAY)
        except Exception:
            log.exception("dialling failed", stream=session.stream.id)
            session.finish(End(EndReason.ERROR, CloseCode.INTERNAL_ERROR))
        finally:
            session.finish(_GONE_AWAY)  # has no effect if the session has ended already
            end = await (self._handling if self._handling is not None else session.run(_no_handler()))
            if end is not None and end.reason is EndReason.FINISHED:
                await session.drain()
            if self._line is not None and end is not None:
                await self._line.close(end)
            await self._perform()  # comes before `unregister`, which emits the stream's last event
            connecting.cancel()
            await asyncio.wait((connecting,))
            streams.unregister(session)
            for problem in advice.on_quality(session):
                log.warning("inbound media advice", stream=session.stream.id, why=problem)
        return session.end or _GONE_AWAY

    async def _perform(self) -> None:
        """Have VoIPBIN hang up or transfer the call, if the handler has asked for it."""
        try:
            await self._control.perform(self.session)
        except ConfigError as error:  # the credential cannot be read: its file is gone
            log.error("call control failed", stream=self.session.stream.id, why=str(error))

    async def _stay_connected(self) -> End:
        """Make one connection after another until one ends for good, and return how the last connection ended."""
        session, clock = self.session, asyncio.get_running_loop().time
        resource = session.stream.resource
        broken = None
        with structlog.contextvars.bound_contextvars(stream=session.stream.id):
            await self._platform.acquire_dial()  # this wait does not count as time spent dialling
            history = _ConnectionHistory(clock())
            while True:
                try:
                    line = await self._connect(broken, history)
                except PeerError as error:
                    return self._end_of_failure(error, broken)
                except ConfigError as error:  # the credential cannot be read: its file is gone
                    return End(EndReason.REFUSED, CloseCode.ABNORMAL, str(error))
                end = await self._run_connection(line)
                closed = end.reason is EndReason.PEER_CLOSED
                transient = end.reason is EndReason.PEER_VANISHED or (closed and end.code in _TRANSIENT_CODES)
                if session.over.done():
                    return end
                if not transient:
                    return end if end.normal else replace(end, text=self._on_close(end.code))
                history.record(line, end.code, clock())
                broken = _BrokenError(advice.DROPPED if history.refuses_our_audio else advice.on_break(end.code))
                session.lost += line.unconfirmed
                log.warning(
                    "connection lost", resource=resource, code=end.code, why=str(broken), in_doubt=line.unconfirmed
                )
                session.call.notify(
                    EventKind.STREAM_DISCONNECTED, {"code": end.code, "in_doubt": line.unconfirmed}
                )

    def _on_close(self, code: int) -> str:
        return advice.on_close(code, self.session.stream.resource, self._credential)

    async def _connect(self, broken: _BrokenError | None, history: _ConnectionHistory) -> PlatformConnection:
        """Dial until connected, at most for `voipbin.reconnect_timeout` after the last usable connection broke.

        A broken connection counts as the first failed attempt, so that all streams wait before they dial a
        platform that restarts.
        """
        settings, resource = self._engine.settings.voipbin, self.session.stream.resource
        deadline = history.usable_at + settings.reconnect_timeout
        left = deadline - asyncio.get_running_loop().time()
        if broken is not None and left <= 0:
            raise broken
        async for attempt in stamina.retry_context(
            on=partial(_is_transient, resource, deadline),
            attempts=None,
            timeout=max(left, 0.001),
            wait_initial=min(_FIRST_WAIT * 2**history.failures, _LONGEST_WAIT),
            wait_max=_LONGEST_WAIT,
            wait_jitter=_JITTER,
        ):
            with attempt:
                if attempt.num > 1:
                    await self._platform.acquire_dial()
                elif broken is not None:
                    raise broken
                self._credential = credential_of(self._engine.settings.voipbin)
                encapsulation = self._wire_settings.encapsulation
                websocket = await self._platform.dial(resource, encapsulation, self._credential)
                poller, timers = self._engine.frame_poller, self._engine.timers
                return PlatformConnection(websocket, poller, timers, history.had_media)
        raise AssertionError("stamina returns or raises")

    async def _run_connection(self, line: PlatformConnection) -> End:
        """Receive and send over one connection, to its end."""
        session, wire = self.session, Wire(self._wire_settings, dialled=True)
        connection.bound_send_buffer(line.transport)
        transport = MaskedTransport(line.transport)
        session.connect(wire, transport, self._engine.settings.voipbin.start_timeout)
        self._line = line
        reading = asyncio.create_task(line.read(session))
        try:
            if self._handling is not None:
                session.resume()
                session.call.notify(EventKind.STREAM_RECONNECTED, {"lost": session.lost})
                log.info("stream reconnected", resource=session.stream.resource, lost=session.lost)
            else:
                self._handling = asyncio.create_task(sessions.run_handler(session, self._handler))
                sessions.notify_started(session)
                log.info("stream attached", resource=session.stream.resource, path=session.stream.path)
            return await reading
        finally:
            reading.cancel()
            session.disconnect()
            line.abort()
            self._line = None

    def _end_of_failure(self, error: PeerError, broken: _BrokenError | None) -> End:
        """The end of a stream that could not be dialled, or not be dialled again after its connection broke."""
        resource = self.session.stream.resource
        if broken is not None and isinstance(error, UpgradeRefusedError) and error.status in _OVER_STATUS:
            log.info("call ended while disconnected", resource=resource)
            return CALL_OVER
        text = f"{resource}: {error}" if error is broken else advice.on_failure(error, resource, self._credential)
        if isinstance(error, UpgradeRefusedError):
            return End(EndReason.REFUSED, CloseCode.ABNORMAL, text)
        return End(EndReason.PEER_VANISHED if broken else EndReason.UNREACHABLE, CloseCode.ABNORMAL, text)

    def _abort_connection(self) -> None:
        """Drop a connection whose peer reads nothing: another connection may work."""
        if self._line is not None:
            self._line.transport.abort()


async def _no_handler() -> None:
    """Do nothing, in place of a handler, for a stream that was never connected."""


def _is_transient(resource: str, deadline: float, error: Exception) -> bool | float:
    """Whether to dial again after `error`: False, True, or the seconds to wait that the server asks for."""
    if isinstance(error, UpgradeRefusedError):
        transient = error.status in _TRANSIENT_STATUS or error.status >= 500
    else:
        transient = isinstance(error, PeerError)
    if transient and not isinstance(error, _BrokenError):
        log.warning("dial attempt failed", resource=resource, why=str(error))
    if transient and isinstance(error, UpgradeRefusedError) and error.retry_after:
        return max(0.0, min(error.retry_after, deadline - asyncio.get_running_loop().time()))
    return transient
