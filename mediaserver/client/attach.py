"""Outward: dials the media stream of a call or a conference, and stays on it, connection after connection.

What happens on the stream is what its path says, as if VoIPBIN had dialled that path. A handler sees one stream,
however often its connection breaks: playout waits, and goes on where it was.
"""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import aiohttp
import stamina
import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator
from yarl import URL

from mediaserver.client import advice, dial
from mediaserver.client.line import Line
from mediaserver.config import Settings
from mediaserver.errors import ConfigError, PeerError, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.playout.library import Progress
from mediaserver.playout.pacer import Pacer
from mediaserver.secrets import reveal
from mediaserver.session import CloseCode, End, EndReason, Session, Stream
from mediaserver.streams import connection
from mediaserver.streams.engine import Engine
from mediaserver.streams.routes import Route
from mediaserver.wire.encapsulation import Encapsulation, Wire, WireSettings
from mediaserver.wire.events import Audio, Event

_GONE_AWAY = End(EndReason.DRAINED, CloseCode.GOING_AWAY)
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.1, 5.0, 0.2  # seconds between attempts
_LASTING = 5  # frames: a connection that breaks sooner was none
# Closed so, the platform may take us back: going away, broken, its own fault, restart, full, bad gateway.
_PASSING_CODES = {1001, 1006, 1011, 1012, 1013, 1014}
_GONE = {400, 404, 410}  # how the platform says of a call that was there that it is over
_PASSING_STATUS = {408, 425, 429}  # and 5xx

log = structlog.get_logger()


class AttachRequest(BaseModel):
    """What to attach to what: `calls/<id>` or `conferences/<id>`, and one of our paths, perhaps with a query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: str
    path: str
    variables: dict[str, str] = Field(default_factory=dict)
    encapsulation: Encapsulation | None = None

    @field_validator("resource")
    @classmethod
    def _is_one(cls, resource: str) -> str:
        if not re.fullmatch(r"(calls|conferences)/[\w~-][\w.~-]*", resource, re.ASCII):
            raise ValueError("should be calls/<id> or conferences/<id>")
        return resource

    @field_validator("path")
    @classmethod
    def _is_ours(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError("should be a path of the configuration: it begins with /")
        return path


class _BrokenError(PeerError):
    """The connection is gone, and may come back."""


class Attachment:
    """One stream that we dial."""

    def __init__(
        self,
        engine: Engine,
        client: aiohttp.ClientSession,
        request: AttachRequest,
        route: Route,
        handler: Handler,
        wire: WireSettings,
        variables: Mapping[str, str],
    ) -> None:
        self._engine, self._client, self._route, self._handler = engine, client, route, handler
        self._wire_settings = wire
        api = URL(engine.settings.voipbin.api)
        url = URL(request.path)
        stream = Stream(
            id=secrets.token_hex(6),
            path=url.path,
            peer=api.host_port_subcomponent or "?",
            query=dict(url.query),
            variables=variables,
            resource=request.resource,
        )
        self._line: Line | None = None  # while there is a connection
        first = Wire(wire, dial.random_key)
        stall_timeout = engine.settings.server.stall_timeout
        pacer = Pacer(engine.ticker, first, dial.NOWHERE, self._give_up_line, stall_timeout)
        self.session = Session(stream, first, engine.library, pacer, outbox=engine.backend)
        self.session.connected = False
        self._player: asyncio.Task[End] | None = None

    async def run(self) -> End:
        """Dial, and stay on it until the handler is done, the peer closes it, or there is no getting back."""
        session, streams = self.session, self._engine.streams
        streams.begin(session, self._route)
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
            end = await self._player if self._player is not None else session.end
            if self._line is not None and end is not None:
                await self._line.close(end)
            calling.cancel()
            await asyncio.wait((calling,))
            streams.over(session, self._route)
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
                passing = end.reason is EndReason.PEER_VANISHED or end.code in _PASSING_CODES
                if not passing or session.over.done():
                    return end
                if line.frames >= _LASTING:
                    good, short = loop.time(), 0
                else:
                    short += 1
                broken = _BrokenError(advice.DROPPED if short else f"the connection broke ({end.code})")
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
            on=self._may_pass,
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
        session, wire = self.session, Wire(self._wire_settings, dial.random_key)
        connection.bound_send_buffer(line.transport)
        session.connect(wire, line.transport)
        self._line = line
        reading = asyncio.create_task(line.read(session))
        try:
            await line.first_message(wire, reading)
            if self._player is not None:
                session.resume()
                session.notify("stream.reconnected", {"lost": session.lost})
            elif not reading.done():
                self._player = asyncio.create_task(connection.handle(session, self._handler))
                log.info("attached", resource=session.stream.resource, path=session.stream.path)
            return await reading
        finally:
            reading.cancel()
            session.disconnect()
            line.drop()
            self._line = None

    def _may_pass(self, error: Exception) -> bool:
        """Whether another attempt may go better."""
        if isinstance(error, RefusedError):
            passing = error.status in _PASSING_STATUS or error.status >= 500
        else:
            passing = isinstance(error, PeerError)
        if passing and not isinstance(error, _BrokenError):
            log.warning("not connected: trying again", resource=self.session.stream.resource, why=str(error))
        return passing

    def _lost(self, error: RefusedError | PeerError, broken: _BrokenError | None) -> End:
        """There is no getting (back) to it: how that ends the stream."""
        resource = self.session.stream.resource
        if broken is not None and isinstance(error, RefusedError) and error.status in _GONE:
            log.info("not there any more: it is over", resource=resource)
            return End(EndReason.PEER_CLOSED, CloseCode.NORMAL)
        text = f"{resource}: {error}" if error is broken else advice.on_failure(error, resource)
        if isinstance(error, RefusedError):
            return End(EndReason.REFUSED, CloseCode.ABNORMAL, text)
        return End(EndReason.PEER_VANISHED if broken else EndReason.UNREACHABLE, CloseCode.ABNORMAL, text)

    def _give_up_line(self) -> None:
        """The peer takes nothing: perhaps another connection is better."""
        if self._line is not None:
            self._line.transport.abort()


class Attacher:
    """All streams that one server dials."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._client: aiohttp.ClientSession | None = None
        self._running: set[asyncio.Task[End]] = set()

    async def prepare(self, request: AttachRequest) -> Attachment:
        """What is asked for, not yet dialled.

        RefusedError: 404 where there is no such path or prompt, 400 where it makes no sense, 503 where there is
        no room.
        """
        engine = self._engine
        try:
            url = URL(request.path)
        except ValueError as error:
            raise RefusedError(400, f"{request.path} is no path") from error
        route, variables = await engine.table.find(url)
        variables |= request.variables
        handler, wire = route.handler_of(variables, url.query, engine.library), route.wire_of(url.query)
        if request.encapsulation is not None:
            wire = replace(wire, encapsulation=request.encapsulation)
        if refusal := engine.streams.refusal:
            raise RefusedError(503, refusal)
        if self._client is None:
            self._client = dial.client_session()
        return Attachment(engine, self._client, request, route, handler, wire, variables)

    def start(self, attachment: Attachment) -> asyncio.Task[End]:
        """Dial in the background; the task tells how it ended."""
        task = asyncio.create_task(attachment.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(partial(_tell, attachment.session.stream.id))
        return task

    async def close(self) -> None:
        """Let go of what is still there."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._client is not None:
            await self._client.close()


def _tell(stream: str, task: asyncio.Task[End]) -> None:
    """Say why there is no stream, where there is none."""
    if not task.cancelled() and task.exception() is None and (why := task.result().text):
        log.error("no media stream", stream=stream, why=why)


async def attach(
    settings: Settings,
    where: str,
    problems: Sequence[str],
    request: AttachRequest,
    progress: Progress,
    hang_up: asyncio.Event,
    heard: Callable[[bytes, float], None] | None = None,
) -> End:
    """One stream to its end, without a server around it. `hang_up` ends it; `heard` is given the peer's audio.

    ConfigError where the configuration is wrong.
    """
    engine = Engine(settings, where, problems)
    attacher = Attacher(engine)

    def take(event: Event) -> None:
        if isinstance(event, Audio) and heard is not None:
            heard(event.pcm, time.monotonic())

    try:
        await engine.load(progress)
        session = (attachment := await attacher.prepare(request)).session
        with session.listen(take) if heard is not None else contextlib.nullcontext():
            ended = asyncio.create_task(attachment.run())
            asked = asyncio.create_task(hang_up.wait())
            await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
            session.finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
            asked.cancel()
            return await ended
    except RefusedError as error:
        return End(EndReason.REFUSED, CloseCode.ABNORMAL, str(error))
    finally:
        await attacher.close()
        await engine.close()
