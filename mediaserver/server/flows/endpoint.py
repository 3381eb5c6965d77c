"""Answers the HTTP requests that VoIPBIN makes to the flow port: those of its action `fetch`, and its webhooks.

A fetch is `POST /flow/<secret>/<path>`. A webhook is `POST /webhook`, and has a signature in place of a secret.
"""

import uuid
from urllib.parse import unquote

import pydantic
import structlog
from aiohttp import web
from yarl import URL

from mediaserver.client.attach import Attacher
from mediaserver.config import error_messages
from mediaserver.errors import ConfigError, RefusalReason, RefusedError
from mediaserver.routing.access import any_token_matches
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.connections import AdminConnection
from mediaserver.server.flows.call import Fetch
from mediaserver.server.flows.calls import FlowCalls
from mediaserver.server.flows.connections import MAX_FLOW_CONNECTIONS, FlowConnections
from mediaserver.server.flows.media import FlowMedia
from mediaserver.server.flows.webhooks import PlatformWebhooks
from mediaserver.server.http import aiohttp_defaults
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.descriptors import reserve_descriptors
from mediaserver.server.http.listener import AddressKeys, Listener
from mediaserver.support.aiohttp_adapter import on_request_read, protocol_of
from mediaserver.wire.voipbin import webhooks
from mediaserver.wire.voipbin.rounds import DIGITS, END, QUERY_KEYS, ROUND

_MAX_BODY = 16 * 1024  # the most bytes of a fetch's body
_MAX_WEBHOOK = 256 * 1024  # the most bytes of a webhook's body; webhooks of types that we ignore may be large
_PREFIX = "flow"  # the first segment of the URLs of fetches
_WEBHOOK = "/webhook"
_OPEN = "anybody who reaches the media ports may take the media of a call that begins: set who may connect"
# One refusal for a wrong secret, path or method, so that a stranger cannot find out which of them is wrong.
_NOT_FOUND = RefusedError(RefusalReason.UNKNOWN_PATH, "not found", logged="the secret, path or method is wrong")

log = structlog.get_logger()


class FetchBody(pydantic.BaseModel):
    """The body of a request of VoIPBIN's action `fetch`. Other keys of the body are ignored."""

    activeflow_id: uuid.UUID
    reference_id: uuid.UUID


class FlowEndpoint:
    """The flow listener and its media ports. There are no media ports without `flows.secret`."""

    def __init__(self, engine: Engine, connections: Connections, attacher: Attacher) -> None:
        self._engine, self._refusals = engine, connections.refusals
        self.calls = FlowCalls(engine, attacher.platform)
        self._webhooks = PlatformWebhooks(engine, attacher)
        self._media = FlowMedia(engine, connections, self.calls)
        self._runner: web.AppRunner | None = None
        self._listeners: list[Listener] = []
        self.port = 0
        metrics = engine.metrics
        metrics.gauge(
            "flow_calls", "Calls in progress whose VoIPBIN flows fetch their actions here", lambda: len(self.calls)
        )
        metrics.gauge(
            "flow_ports_leased", "Ports of flows.media_ports that calls have", lambda: self.calls.pool.leased
        )
        results = self._webhooks.results
        metrics.counter(
            "platform_webhooks", "Webhooks received from VoIPBIN, by what they led to", lambda: results
        )
        flows = engine.settings.flows
        ports = 2 * len(flows.ports) if flows.enabled else 0
        reserve_descriptors(ports + MAX_FLOW_CONNECTIONS if flows.listens else 0)

    async def listen(self) -> None:
        """Listen on the flow port and the media ports; ConfigError names all ports that cannot be listened on."""
        engine, flows = self._engine, self._engine.settings.flows
        if not flows.listens:
            return
        problems: list[str] = []
        if flows.enabled and not flows.allow:
            log.warning("media ports open to all networks", key="flows.allow", ports=flows.media_ports, why=_OPEN)
        app = web.Application()
        aiohttp_defaults.apply(app)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        assert self._runner.server is not None  # noqa: S101 - `setup` has made the server
        factory = FlowConnections(
            self._runner.server,
            lambda: engine.settings.server.handshake_timeout,
            engine.metrics,
            self._refusals,
        )
        listener = Listener(factory)
        self._listeners.append(listener)
        where, source = engine.configuration.where, engine.settings.source
        keys = AddressKeys(*(f"{source(where, ('flows', key))}: flows.{key}" for key in ("host", "port")))
        try:
            self.port = await listener.open(flows.host, flows.port, keys)
        except ConfigError as error:
            problems += error.problems
        try:
            if flows.enabled:
                await self._media.listen()
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)

    async def close(self) -> None:
        """Stop listening, and forget all calls."""
        for listener in (*self._listeners, *self._media.listeners):
            await listener.close()
        await self.calls.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        """Answer a fetch with actions, and a webhook with nothing, or refuse the request in one line of text."""
        connection = protocol_of(request)
        assert isinstance(connection, AdminConnection)  # noqa: S101 - `FlowConnections` makes no other connections
        on_request_read(request, connection.on_request_read)
        try:
            if request.rel_url.raw_path == _WEBHOOK and self._engine.settings.flows.takes_webhooks:
                return await self._take_webhook(request)
            return await self._answer(request)
        except RefusedError as error:
            connection.record_refusal(error, "")
            return web.Response(status=error.status, text=f"{error}\n")

    async def _take_webhook(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            raise RefusedError(RefusalReason.METHOD, "a webhook is sent by POST")
        body = await _read_body(request, _MAX_WEBHOOK)
        await self._webhooks.take(body, request.headers.get(webhooks.SIGNATURE_HEADER, ""))
        return web.Response()

    async def _answer(self, request: web.Request) -> web.Response:
        secret = self._engine.configuration.secrets["flows.secret"]
        empty, prefix, given, rest = (*request.rel_url.raw_path.split("/", 3), "", "", "", "")[:4]
        is_known = bool(secret) and any_token_matches([unquote(given)], [secret])
        if not is_known or (empty, prefix) != ("", _PREFIX):
            raise _NOT_FOUND
        if request.method != "POST":
            raise RefusedError(RefusalReason.METHOD, "a fetch is sent by POST: set event_method to POST")
        rest = rest.lstrip("/")
        url = URL(f"/{rest}", encoded=True).with_query(request.rel_url.query)
        fetch = await _parse_fetch(request)
        query = request.rel_url.query
        kept = {key: value for key, value in query.items() if key not in QUERY_KEYS}
        asked = URL(self._engine.settings.flows.fetch_url(f"/{rest}", secret), encoded=True).with_query(kept)
        return web.json_response(await self.calls.answer(url, str(asked), fetch))


async def _read_body(request: web.Request, most: int) -> bytes:
    """The body of a request; RefusedError 400 if the body has more than `most` bytes, or does not end."""
    try:
        return await request.clone(client_max_size=most).read()
    except (ConnectionError, web.RequestPayloadError) as error:  # the peer is gone or slow, or its body is no HTTP
        raise RefusedError(RefusalReason.BAD_BODY, "body: is incomplete") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(RefusalReason.BAD_BODY, f"body: is larger than {most} bytes") from error


async def _parse_fetch(request: web.Request) -> Fetch:
    """Parse an HTTP request into a fetch; RefusedError 400, with the reason, if the request is no valid fetch."""
    query = request.rel_url.query
    read = await _read_body(request, _MAX_BODY)
    try:
        body = FetchBody.model_validate_json(read)
        number = int(query.get(ROUND, "0"))
    except pydantic.ValidationError as error:
        lines = "; ".join(error_messages.error_lines("body", error, FetchBody))
        raise RefusedError(RefusalReason.BAD_BODY, lines) from error
    except ValueError as error:
        raise RefusedError(RefusalReason.BAD_QUERY, f"{ROUND}: should be a number") from error
    is_complete = END in query or ROUND not in query
    return Fetch(str(body.activeflow_id), str(body.reference_id), number, query.get(DIGITS, ""), is_complete)
