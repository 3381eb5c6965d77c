"""The flows of the platform's REST API, as its public description has them, on a port of this machine."""

import json
from typing import Any, Self
from uuid import uuid4

from aiohttp import web
from aiohttp.test_utils import TestServer

PAGE = 2  # flows on a page, so that a few flows take several


class FlowService:
    """`async with FlowService() as service`: `flows` by their ids, and each request as its method and path."""

    def __init__(self, parameter: str = "token", secret: str = "t0ken") -> None:
        self.flows: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.answer: web.Response | None = None  # in place of what the platform answers
        self._credential = parameter, secret
        app = web.Application(middlewares=[self._check])
        app.router.add_get("/v1.0/flows", self._list)
        app.router.add_post("/v1.0/flows", self._create)
        app.router.add_put("/v1.0/flows/{id}", self._update)
        self._server = TestServer(app)
        self.api = ""

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self.api = str(self._server.make_url("/v1.0"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def add(self, name: str) -> str:
        """A flow that is there already."""
        flow = str(uuid4())
        self.flows[flow] = {"name": name, "detail": "", "actions": []}
        return flow

    @web.middleware
    async def _check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        parameter, secret = self._credential
        if request.query.get(parameter) != secret:
            return web.Response(status=401, text=f"unknown {request.query_string}")
        found: web.StreamResponse = self.answer or await handler(request)
        return found

    async def _list(self, request: web.Request) -> web.Response:
        assert int(request.query["page_size"]) <= 100
        begin = int(request.query.get("page_token") or 0)
        found = [{"id": flow, **value} for flow, value in self.flows.items()][begin : begin + PAGE]
        token = str(begin + PAGE) if found else ""
        return web.json_response({"result": found or None, "next_page_token": token})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not {"name", "detail", "actions"} <= body.keys():
            return web.Response(status=400)
        flow = self.add(body["name"])
        self.flows[flow] = body
        return web.json_response({"id": flow, **body})

    async def _update(self, request: web.Request) -> web.Response:
        flow = request.match_info["id"]
        if flow not in self.flows:
            return web.Response(status=404)
        self.flows[flow] = await request.json()
        return web.Response(text=json.dumps({"id": flow, **self.flows[flow]}))
