"""The requests of the admin port: health, metrics, and streams, to be listed, dialled, hung up or sent keys."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import pydantic
import structlog
from aiohttp import web

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.call.inbound.keypad import MAX_TYPED_AHEAD
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.config import error_messages
from mediaserver.errors import ConfigError, RefusalReason, RefusedError
from mediaserver.routing.access import any_token_matches, tokens_in_header
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.registry import describe_stream
from mediaserver.server.admin.connections import AdminConnection, AdminConnections
from mediaserver.server.admin.hosts import validate_host, validate_origin
from mediaserver.support import metrics
from mediaserver.support.aiohttp_adapter import HttpProcessingError, on_request_read, protocol_of

_MAX_BODY = 64 * 1024  # bytes of a request's body
_UNGUARDED = {"/healthz", "/readyz"}  # paths that need no token, because health probes have none

log = structlog.get_logger()
B = TypeVar("B", bound=pydantic.BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _validate_keys(digits: str) -> str:
    if not re.fullmatch(rf"[0-9A-D*#]{{1,{MAX_TYPED_AHEAD}}}", digits):
        raise ValueError(f"should be keys of 0-9 A-D * #, at least one and at most {MAX_TYPED_AHEAD}")
    return digits


class PressedKeys(pydantic.BaseModel):
    """A request's body: DTMF keys, in the order in which a caller pressed them."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    digits: Annotated[str, pydantic.AfterValidator(_validate_keys)]


class AdminEndpoint:
    """Handles the requests on all paths of the admin listener. All but the health checks need the token, if one is
    set.

    `why_closed` returns why the server takes no calls, such as "draining"; "" while it takes calls.
    `why_not_ready` returns why no calls should be sent to the server: because it takes none, or because a speech
    engine that some calls need is not ready.
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
        """How many connections of the admin port there are."""
        return len(self._connections or ())

    async def run(self) -> tuple[web.AppRunner, AdminConnections]:
        """Start the aiohttp application. Returns its runner, to be cleaned up later, and a protocol factory."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - `setup` has made the server
        engine = self._engine
        self._connections = AdminConnections(
            runner.server, lambda: engine.settings.server.handshake_timeout, engine.metrics
        )
        return runner, self._connections

    def _application(self) -> web.Application:
        """Build the aiohttp application of the admin listener."""
        logging.getLogger("aiohttp.server").addFilter(hide_malformed_request)
        app = web.Application(middlewares=[self._guard], client_max_size=_MAX_BODY)
        app.on_response_prepare.append(hide_version)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/attach", self._attach)
        app.router.add_get("/v1/streams", self._streams)
        app.router.add_delete("/v1/streams/{id}", self._hang_up)
        app.router.add_post("/v1/streams/{id}/digits", self._press_keys)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check a request's token and origin, then handle it. Errors are answered by status and a line in JSON."""
        connection = protocol_of(request)
        assert isinstance(connection, AdminConnection)  # noqa: S101 - `AdminConnections` makes no others
        on_request_read(request, connection.on_request_read)
        try:
            self._validate_request(request)
        except RefusedError as error:
            connection.record_refusal(error, request.path)
            return _error_response(error)
        try:
            return await handler(request)
        except RefusedError as error:
            return _error_response(error)
        except ConfigError as error:
            return web.json_response({"error": str(error)}, status=500)

    def _validate_request(self, request: web.Request) -> None:
        """Raise RefusedError where a request lacks the token, or was made by a web page of another site."""
        settings, headers = self._engine.settings.admin, request.headers
        hosts = headers.getall("Host", ())
        if request.path not in _UNGUARDED:
            # A token in the URL is not accepted, because proxies log URLs.
            offered = tokens_in_header(headers.get("Authorization", ""))
            token = self._engine.configuration.secrets["admin.token"]
            if token and not any_token_matches(offered, [token]):
                raise RefusedError(RefusalReason.UNAUTHORISED, "needs the token: Authorization: Bearer")
            if not token:  # where a token is set, pages of other sites are refused as they lack the token
                validate_host(hosts, {settings.host.lower(), *settings.hosts})
        validate_origin(headers.getall("Origin", ()), hosts)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = self._why_not_ready()
        return web.Response(status=503 if reason else 200, text=f"{reason or 'ready'}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._engine.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _attach(self, request: web.Request) -> web.Response:
        if reason := self._why_closed():
            raise RefusedError(RefusalReason.NO_CALLS, reason)
        attachment = await self._attacher.prepare(await _parse_body(request, AttachRequest))
        self._attacher.start(attachment)
        stream = attachment.session.stream.id
        return web.json_response({"id": stream}, status=202, headers={"Location": f"/v1/streams/{stream}"})

    async def _streams(self, _: web.Request) -> web.Response:
        return web.json_response({"streams": [describe_stream(session) for session in self._engine.streams]})

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._session_of(request).finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
        return web.Response(status=204)

    async def _press_keys(self, request: web.Request) -> web.Response:
        """Feed a stream's keypad with keys that did not come as audio, but, for example, by a flow's
        `digits_receive`.
        """
        pressed = await _parse_body(request, PressedKeys)
        self._session_of(request).push_digits(pressed.digits)
        return web.Response(status=204)

    def _session_of(self, request: web.Request) -> Session:
        session = self._engine.streams.get(request.match_info["id"])
        if session is None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"no stream {request.match_info['id']}")
        return session


async def _parse_body(request: web.Request, model: type[B]) -> B:
    """Parse the JSON body of a request into a model; RefusedError 400 says what is wrong with the JSON."""
    try:
        return model.model_validate_json(await request.read())
    except (ConnectionError, web.RequestPayloadError) as error:  # the peer is gone or slow, or its body is no HTTP
        raise RefusedError(RefusalReason.BAD_BODY, "body: it has no end") from error
    except pydantic.ValidationError as error:
        raise RefusedError(
            RefusalReason.BAD_BODY, "; ".join(error_messages.error_lines("body", error, model))
        ) from error


def _error_response(error: RefusedError) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return web.json_response({"error": str(error)}, status=error.status, headers=headers)


async def hide_version(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "mediaserver"  # aiohttp would name the versions of aiohttp and of Python


def hide_malformed_request(record: logging.LogRecord) -> bool:
    """Shorten aiohttp's log line about a malformed request: it quotes headers, which may have a token."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args, record.exc_info = f"malformed request: {type(error).__name__}", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
