"""The admin listener's application: which scope each request needs, who may make it, and how it is logged."""

import json
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web

from mediaserver.client.attach import Attacher
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import ConfigError, RefusalReason, RefusedError
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin import console
from mediaserver.server.admin.authorization import ANYBODY, GRANT, TICKET, Grant, Tickets, authorize, in_force
from mediaserver.server.admin.connections import AdminConnection, AdminConnections
from mediaserver.server.admin.control.fetched_sounds import FetchedSounds
from mediaserver.server.admin.control.lookup import StreamLookup
from mediaserver.server.admin.control.media import MediaRequests
from mediaserver.server.admin.control.recordings import RecordingRequests
from mediaserver.server.admin.control.switching import SwitchRequests
from mediaserver.server.admin.ended import EndedRequests
from mediaserver.server.admin.hosts import validate_host, validate_origin
from mediaserver.server.admin.idempotency import IdempotentAnswers
from mediaserver.server.admin.live.event_stream import EventStreams
from mediaserver.server.admin.live.lasting import ASKED, LastingRequests
from mediaserver.server.admin.live.levels import LevelStreams
from mediaserver.server.admin.live.listen import ListenRequests
from mediaserver.server.admin.live.overview import OverviewStreams
from mediaserver.server.admin.live.path_calls import PathCalls
from mediaserver.server.admin.paths import PathRequests
from mediaserver.server.admin.prompts import PromptRequests
from mediaserver.server.admin.schemas import answers, openapi
from mediaserver.server.admin.schemas.openapi import JSON, TEXT, WAV, Handler, Operation
from mediaserver.server.admin.schemas.requests import AUDITED, TicketRequest, parse_body
from mediaserver.server.admin.streams import StreamRequests
from mediaserver.server.http import aiohttp_defaults
from mediaserver.server.http.media import MediaEndpoint
from mediaserver.support import metrics
from mediaserver.support.aiohttp_adapter import on_request_read, protocol_of

_PROBES = {"/healthz", "/readyz"}  # paths that need no token, because health probes have none
_MAX_BODY = 64 * 1024  # the most bytes of a request's body

log = structlog.get_logger()


class AdminEndpoint:
    """Handles the requests on all paths of the admin listener. If a token is set, all requests need a token,
    except health checks and the console's pages.

    `why_closed` returns why the server takes no calls, such as "draining"; "" while it takes calls.
    `why_not_ready` returns why no calls should be sent to the server: because it takes none, or because a speech
    engine that some calls need is not ready.
    """

    def __init__(
        self,
        engine: Engine,
        media: MediaEndpoint,
        attacher: Attacher,
        why_closed: Callable[[], str],
        why_not_ready: Callable[[], str],
    ) -> None:
        self._engine, self._why_not_ready = engine, why_not_ready
        self._find = find = StreamLookup(engine)
        self._streams = StreamRequests(engine, find, attacher, why_closed)
        sounds = FetchedSounds(engine.library, lambda: engine.settings.admin)
        self._media = MediaRequests(engine.library, find, sounds)
        self._switching, self._ended = SwitchRequests(engine, find), EndedRequests(engine.streams.ended)
        self._recordings = RecordingRequests(find, lambda: engine.settings.admin)
        self._prompts, self._paths = PromptRequests(engine), PathRequests(engine)
        self._events = EventStreams(engine.events)
        self._listen = ListenRequests(find, lambda: engine.settings.server.handshake_timeout)
        self._levels, self._overview = LevelStreams(engine), OverviewStreams(engine.streams)
        self._path_calls = PathCalls(media, why_closed)
        self._tickets, self._answers = Tickets(), IdempotentAnswers()
        self._lasting = LastingRequests(lambda: self._grants)
        self._connections: AdminConnections | None = None
        self._description = ""  # of the API, as JSON; made by `run`

    @property
    def connections(self) -> int:
        """How many connections of the admin port there are."""
        return len(self._connections or ())

    @property
    def operations(self) -> list[Operation]:
        """All requests that the admin port handles."""
        read, listen, one = Scope.READ, Scope.LISTEN, "/v1/streams/{id}"
        return [
            Operation("GET", "/healthz", None, self._healthz, answers={200: TEXT}),
            Operation("GET", "/readyz", None, self._readyz, answers={200: TEXT, 503: TEXT}),
            Operation("GET", "/metrics", read, self._metrics, answers={200: TEXT}),
            Operation("GET", "/v1/openapi.json", read, self._describe_api, answers={200: JSON}),
            Operation("GET", "/v1/me", read, self._describe_token, answers={200: answers.Token}),
            Operation(
                "POST", "/v1/tickets", None, self._issue_ticket, TicketRequest, answers={200: answers.Ticket}
            ),
            Operation(
                "GET", "/v1/events", read, self._events.serve, query=("type", "path", "after"), websocket=True
            ),
            Operation("GET", "/v1/levels", read, self._levels.serve, query=("streams",), websocket=True),
            Operation("GET", "/v1/overview", read, self._overview.serve, websocket=True),
            *self._streams.operations,
            *self._ended.operations,
            Operation("GET", f"{one}/events", read, self._stream_events, query=("type", "after"), websocket=True),
            Operation(
                "GET",
                f"{one}/listen",
                listen,
                self._listen.serve_wav,
                query=("side", "for"),
                lasting=True,
                answers={200: WAV},
            ),
            Operation(
                "GET", f"{one}/audio", listen, self._listen.serve_audio, query=("side", "role"), websocket=True
            ),
            *self._media.operations,
            *self._recordings.operations,
            *self._switching.operations,
            *self._prompts.operations,
            Operation("GET", "/v1/paths", read, self._paths.list_paths, answers={200: answers.Paths}),
            Operation("GET", "/v1/reloads", read, self._list_reloads, answers={200: answers.Reloads}),
            Operation(
                "GET", "/v1/paths/call", Scope.CONTROL, self._path_calls.serve, query=("path",), websocket=True
            ),
        ]

    async def run(self) -> tuple[web.AppRunner, AdminConnections]:
        """Start the aiohttp application. Returns its runner, to be cleaned up later, and a protocol factory."""
        # Made before there are calls, because it takes some 70 ms, for which all streams would be late.
        self._description = json.dumps(openapi.document(self.operations))
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
        app = web.Application(middlewares=[self._guard], client_max_size=_MAX_BODY)
        aiohttp_defaults.apply(app)
        app.on_response_prepare.append(_log_beginning)
        app.on_shutdown.append(self._end_lasting)
        for operation in self.operations:
            app.router.add_route(operation.method, operation.route, self._guarded(operation))
        console.add_pages(app.router)
        return app

    def _guarded(self, operation: Operation) -> Handler:
        """Wrap an operation's handler: check the token's scope, handle the request, and log the token's name."""

        async def handle(request: web.Request) -> web.StreamResponse:
            grant: Grant = request[GRANT]
            if operation.scope is not None:
                grant.require(operation.scope)
            audited = operation.scope not in (None, Scope.READ)
            if operation.lasting or operation.websocket:
                response = await self._lasting.handle(operation, request, audited=audited)
            elif operation.method == "POST":
                response = await self._answers.handle(request, grant.name, operation.handler)
            else:
                response = await operation.handler(request)
            if audited:
                _log_audit(request, grant, status=response.status, **request.get(AUDITED, {}))
            return response

        return handle

    @property
    def _grants(self) -> Mapping[Grant, str]:
        """The grants that are in force, each with its token."""
        return in_force(self._engine.settings.admin, self._engine.configuration.secrets)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check a request's token and origin, then handle it. Errors are answered by HTTP status and JSON."""
        connection = protocol_of(request)
        assert isinstance(connection, AdminConnection)  # noqa: S101 - `AdminConnections` makes no others
        on_request_read(request, connection.on_request_read)
        try:
            request[GRANT] = self._authorize(request)
        except RefusedError as error:
            connection.record_refusal(error, request.path)
            return _error_response(error)
        try:
            return await handler(request)
        except RefusedError as error:
            if error.reason == RefusalReason.SCOPE:
                connection.record_refusal(error, request.path)
            return _error_response(error)
        except ConfigError as error:
            return _fault_response(str(error))
        except web.HTTPException as error:  # aiohttp's own errors, such as 404 for an unknown path
            allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
            why = f"the admin port has no {request.path}" if isinstance(error, web.HTTPNotFound) else error.reason
            return web.json_response({"error": why}, status=error.status, headers=allowed)
        except Exception:
            if request.writer.output_size:  # the answer has begun, and can only be broken off
                raise
            log.exception("request failed", method=request.method, path=request.path)
            return _fault_response("internal error: see the server's log")

    def _authorize(self, request: web.Request) -> Grant:
        """What a request may do. RefusedError if it lacks a token, or was made by a page of another site."""
        settings, headers = self._engine.settings.admin, request.headers
        hosts, grant = headers.getall("Host", ()), Grant("", frozenset())
        if request.path not in _PROBES:
            grants = self._grants
            if request.path not in console.PATHS:  # the console's pages need no token, because they hold no data
                # A token in the URL is not accepted, because proxies log URLs. A ticket is void once it was used.
                ticket, offered = request.query.get(TICKET, ""), headers.get("Authorization", "")
                tickets = self._tickets
                grant = tickets.redeem(ticket, request.path, grants) if ticket else authorize(offered, grants)
            if ANYBODY in grants:  # if a token is set, pages of other sites lack it
                validate_host(hosts, {settings.host.lower(), *settings.hosts})
        validate_origin(headers.getall("Origin", ()), hosts)
        return grant

    async def _healthz(self, _: web.Request) -> web.Response:
        """Report that the process is alive."""
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        """Report whether calls should be sent here. A 503 says why not."""
        reason = self._why_not_ready()
        return web.Response(status=503 if reason else 200, text=f"{reason or 'ready'}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        """Return the metrics in the text format of Prometheus."""
        return web.Response(body=self._engine.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _list_reloads(self, _: web.Request) -> web.Response:
        """List the latest reloads of the configuration, the last one first, with the mistakes that each had."""
        return web.json_response({"reloads": [each._asdict() for each in reversed(self._engine.reloads.latest)]})

    async def _describe_api(self, _: web.Request) -> web.Response:
        """Describe this API by OpenAPI."""
        return web.Response(text=self._description, content_type="application/json")

    async def _describe_token(self, request: web.Request) -> web.Response:
        """Return the name and the scopes of the token that asks."""
        grant: Grant = request[GRANT]
        return web.json_response({"name": grant.name, "scopes": sorted(grant.scopes)})

    async def _issue_ticket(self, request: web.Request) -> web.Response:
        """Issue a ticket, which stands for the token in one request within 30 s (`?ticket=…`), for web pages."""
        asked = await parse_body(request, TicketRequest)
        return web.json_response({"ticket": self._tickets.issue(asked.path, request[GRANT])})

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        """Send the events of one stream by WebSocket. `type` and `after` are as for the events of all streams.

        A stream that has ended is still found while one of its events is kept.
        """
        name = request.match_info["id"]
        is_known = self._engine.events.has_kept(name)
        return await self._events.serve(request, name if is_known else self._find(request).stream.id)

    async def _end_lasting(self, _: web.Application) -> None:
        """End the requests that last, such as for events, because the server is shutting down."""
        self._lasting.close()
        self._engine.events.close()
        self._levels.close()
        self._overview.close()
        for session in self._engine.streams:
            session.operator.listeners.close()


def _log_audit(request: web.Request, grant: Grant, **facts: object) -> None:
    """Log a request that may change a stream or listen to it, with the name of its token."""
    facts = {"by": grant.caller, "peer": request.remote, "method": request.method, "path": request.path, **facts}
    log.info("admin request", **facts)


async def _log_beginning(request: web.Request, _: web.StreamResponse) -> None:
    """Log the beginning of a request that lasts, such as for events: its token's name and what it asks for."""
    asked = request.get(ASKED)
    if asked is not None:
        _log_audit(request, request[GRANT], begins=True, **asked)


def _fault_response(why: str) -> web.Response:
    return web.json_response({"error": why}, status=500)


def _error_response(error: RefusedError) -> web.Response:
    headers = {
        401: {"WWW-Authenticate": "Bearer"},
        426: {"Upgrade": "websocket", "Connection": "Upgrade"},
    }.get(error.status)
    return web.json_response({"error": str(error)}, status=error.status, headers=headers)
