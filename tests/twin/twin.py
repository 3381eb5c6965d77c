"""The twin's HTTP side: who may have which media stream."""

import asyncio
import uuid
from time import monotonic
from typing import Any, NamedTuple, Self

from aiohttp import web

from tests.timing import UNIT
from tests.twin import formats
from tests.twin.access import Access, credential
from tests.twin.resources import Call, Conference, Participant, Resource
from tests.twin.stream import TwinStream
from tests.twin.tap import ClientFrames, Tap


class Asked(NamedTuple):
    """A request for a media stream, and what became of it (101: the upgrade)."""

    path: str
    encapsulation: str | None
    status: int
    at: float  # monotonic
    credential: str = "token"  # or accesskey


class Twin:
    """The server, on a free port of 127.0.0.1: `async with Twin(token="secret") as twin`."""

    def __init__(self, token: str = "secret", access_key: str = "key", rate_limit: int | None = None) -> None:
        self.api = ""
        self.token = token
        self.access_key = access_key
        self.requests: list[Asked] = []
        self.posted: list[tuple[str, Any]] = []  # what was asked by POST: the path, and the body
        self.refuse_posts: list[int] = []  # the statuses with which the next ones are refused
        self._access = Access(token, access_key, rate_limit)
        self._resources: dict[tuple[str, str], Resource] = {}
        self._streams: set[TwinStream] = set()
        app = web.Application()
        app.router.add_get("/v1.0/{kind:calls|conferences}/{id}/media_stream", self._media_stream)
        app.router.add_post("/v1.0/calls", self._post)
        app.router.add_post("/v1.0/calls/{id}/hangup", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2 * UNIT)
        self._taps: set[Tap] = set()

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._connection, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.api = f"http://127.0.0.1:{port}/v1.0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for stream in self._streams:
            stream.cut("the twin shut down")
        await self._runner.cleanup()
        for tap in self._taps:  # a client that does not read keeps a closed connection open
            tap.abort()
        await self._server.wait_closed()

    def call(self, id: str | None = None, answered: bool = True, **options: Any) -> Call:  # noqa: A002
        """A call, answered or still ringing; the options are `Resource`'s."""
        call = Call(id or str(uuid.uuid4()), "progressing" if answered else "ringing", **options)
        self._resources["calls", call.id] = call
        return call

    def conference(self, id: str | None = None, participants: int = 2, **options: Any) -> Conference:  # noqa: A002
        """A conference of so many."""
        conference = Conference(id or str(uuid.uuid4()), **options)
        conference.participants = [Participant(conference) for _ in range(participants)]
        self._resources["conferences", conference.id] = conference
        return conference

    def forbid(self, token: str) -> None:
        """From now on this token is a valid one without permission for anything."""
        self._access.forbid(token)

    def _connection(self) -> Tap:
        assert self._runner.server is not None
        tap = Tap(self._runner.server(), self._taps.discard)
        self._taps.add(tap)
        return tap

    async def _media_stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, timeout=2 * UNIT)
        resource = self._resources.get((request.match_info["kind"], request.match_info["id"]))
        encapsulation = request.query.get("encapsulation")
        status = self._refusal(request, resource) or (101 if socket.can_prepare(request) else 400)
        self.requests.append(Asked(request.path, encapsulation, status, monotonic(), credential(request)[0]))
        if status != 101:
            headers = {"Retry-After": "1"} if status == 429 else None
            return web.Response(status=status, text=f"no media stream: {status}\n", headers=headers)
        await socket.prepare(request)
        assert resource is not None
        assert encapsulation is not None
        assert request.transport is not None
        stream = TwinStream(resource, socket, request.transport, resource.format(encapsulation))
        for tap in self._taps:
            if tap.transport is request.transport:
                tap.frames = ClientFrames(stream.errors.append)
        self._streams.add(stream)
        try:
            await resource.attach(stream, encapsulation)
        finally:
            self._streams.remove(stream)
        return socket

    async def _post(self, request: web.Request) -> web.Response:
        """A call is hung up, or begun: of that, the twin only keeps that it was asked for."""
        if (refusal := self._access.refusal(request)) is not None:
            return web.Response(status=refusal)
        if self.refuse_posts:
            return web.Response(status=self.refuse_posts.pop(0), headers={"Retry-After": "0"})
        self.posted.append((request.path, await request.json() if request.can_read_body else None))
        if (name := request.match_info.get("id")) is not None:
            if (call := self._resources.get(("calls", name))) is None:
                return web.Response(status=404)
            call.hang_up()
        return web.json_response({})

    def _refusal(self, request: web.Request, resource: Resource | None) -> int | None:
        refusal = self._access.refusal(request)
        if refusal is not None:
            return refusal
        if resource is None:
            return 404
        if not self._access.permitted(request):
            return 403
        if resource.faults.refuse:
            return resource.faults.refuse.pop(0)
        if not resource.accepts:
            return 404
        if request.query.get("encapsulation") not in formats.ENCAPSULATIONS:
            return 400
        return None
