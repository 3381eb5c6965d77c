"""The admin listener: health, metrics, and the streams that are dialled. Never on the public port."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import pydantic
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.call.keypad import MAX_TYPED_AHEAD
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.config import error_messages
from mediaserver.errors import ConfigError, RefusalReason, RefusedError
from mediaserver.routing.access import any_token_matches, tokens_in_header
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.registry import listing
from mediaserver.server.admin.connections import AdminConnection, AdminConnections
from mediaserver.server.admin.hosts import check_host, check_origin
from mediaserver.support import metrics

_MAX_BODY = 64 * 1024
_OPEN = {"/healthz", "/readyz"}  # probes have no token

log = structlog.get_logger()
B = TypeVar("B", bound=pydantic.BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _keys(digits: str) -> str:
    if not re.fullmatch(rf"[0-9A-D*#]{{1,{MAX_TYPED_AHEAD}}}", digits):
        raise ValueError(f"should be keys of 0-9 A-D * #, at least one and at most {MAX_TYPED_AHEAD}")
    return digits


class PressedKeys(pydantic.BaseModel):
    """Keys that a caller pressed, in their order."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    digits: Annotated[str, pydantic.AfterValidator(_keys)]


class AdminEndpoint:
    """All paths of the admin listener. All but the health checks need the token, where there is one.

    `why_closed` tells why the server takes no calls, `why_not_ready` why it should not be sent any: that, or an
    engine that is not ready, which not every call needs. Both tell nothing when it does and should.
    """

    def __init__(
        self,
        engine: Engine,
        attacher: Attacher,
        why_closed: Callable[[], str],
        why_not_ready: Callable[[], str],
    ) -> None:
        self._engine, self._attacher = engine, attacher
        self._why_closed, self._why_not_ready = why_closed, why_not_ready
        self._connections: AdminConnections | None = None

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections or ())

    async def run(self) -> tuple[web.AppRunner, AdminConnections]:
        """What takes connections, and what ends all of it."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - there is one after the setup
        engine = self._engine
        self._connections = AdminConnections(
            runner.server, lambda: engine.settings.server.handshake_timeout, engine.metrics
        )
        return runner, self._connections

    def _application(self) -> web.Application:
        """The admin listener's application."""
        logging.getLogger("aiohttp.server").addFilter(_hide_malformed_request)
        app = web.Application(middlewares=[self._guard], client_max_size=_MAX_BODY)
        app.on_response_prepare.append(_say_no_more)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/attach", self._attach)
        app.router.add_get("/v1/streams", self._streams)
        app.router.add_delete("/v1/streams/{id}", self._hang_up)
        app.router.add_post("/v1/streams/{id}/digits", self._press)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may ask, and what is wrong with a request as a status and one line."""
        connection = request.protocol
        assert isinstance(connection, AdminConnection)  # noqa: S101 - `run` has no others made
        request.content.on_eof(connection.in_hand)
        try:
            self._check(request)
        except RefusedError as error:
            connection.refuse(error, request.path)
            return _error(error)
        try:
            return await handler(request)
        except RefusedError as error:
            return _error(error)
        except ConfigError as error:
            return web.json_response({"error": str(error)}, status=500)

    def _check(self, request: web.Request) -> None:
        """RefusedError where it is not to be answered."""
        settings, headers = self._engine.settings.admin, request.headers
        hosts = headers.getall("Host", ())
        if request.path not in _OPEN:
            offered = tokens_in_header(headers.get("Authorization", ""))  # not in the URL: those are logged
            token = self._engine.configuration.secrets["admin.token"]
            if token and not any_token_matches(offered, [token]):
                raise RefusedError(RefusalReason.UNAUTHORISED, "needs the token: Authorization: Bearer")
            if not token:  # which no page of another site has
                check_host(hosts, {settings.host.lower(), *settings.hosts})
        check_origin(headers.getall("Origin", ()), hosts)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        why_not = self._why_not_ready()
        return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ready'}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._engine.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _attach(self, request: web.Request) -> web.Response:
        if why_not := self._why_closed():
            raise RefusedError(RefusalReason.NO_CALLS, why_not)
        wanted = await _body(request, AttachRequest)
        attachment = await self._attacher.prepare(wanted)
        self._attacher.start(attachment)
        stream = attachment.session.stream.id
        return web.json_response({"id": stream}, status=202, headers={"Location": f"/v1/streams/{stream}"})

    async def _streams(self, _: web.Request) -> web.Response:
        return web.json_response({"streams": [listing(session) for session in self._engine.streams]})

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._find(request).finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
        return web.Response(status=204)

    async def _press(self, request: web.Request) -> web.Response:
        """Feed keys that somebody else has seen, such as a flow's `digits_receive`, into a stream's keypad."""
        pressed = await _body(request, PressedKeys)
        self._find(request).push_digits(pressed.digits)
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Session:
        session = self._engine.streams.find(request.match_info["id"])
        if session is None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"no stream {request.match_info['id']}")
        return session


async def _body(request: web.Request, model: type[B]) -> B:
    """A request's JSON; RefusedError 400 says what is wrong with it."""
    try:
        return model.model_validate_json(await request.read())
    except (ConnectionError, web.RequestPayloadError) as error:  # the peer is gone, was too slow, or it is no HTTP
        raise RefusedError(RefusalReason.BAD_BODY, "body: it has no end") from error
    except pydantic.ValidationError as error:
        raise RefusedError(
            RefusalReason.BAD_BODY, "; ".join(error_messages.error_lines("body", error, model))
        ) from error


def _error(error: RefusedError) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return web.json_response({"error": str(error)}, status=error.status, headers=headers)


async def _say_no_more(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "mediaserver"  # and not what it is made of


def _hide_malformed_request(record: logging.LogRecord) -> bool:
    """aiohttp logs a request it cannot parse with all that it is, a token in its headers included."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args, record.exc_info = f"malformed request: {type(error).__name__}", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
