"""Faults of our own while the admin port handles a request: what the client is told, and what the log has."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediaserver.config.settings import Settings
from mediaserver.server.admin.endpoint import AdminEndpoint
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.server import Server


class FaultyEndpoint(AdminEndpoint):
    """An admin endpoint with two requests that fail: before the answer, and amid it."""

    @property
    def operations(self) -> list[Operation]:
        faults = [
            Operation("GET", "/v1/before", None, self._fail_before),
            Operation("GET", "/v1/amid", None, self._fail_amid),
        ]
        return [*super().operations, *faults]

    async def _fail_before(self, _: web.Request) -> web.StreamResponse:
        raise ZeroDivisionError("a secret")

    async def _fail_amid(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ZeroDivisionError("a secret")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings.model_validate({"prompts": {"directory": str(tmp_path), "cache": "off"}})
    server = Server(settings, "defaults")
    nothing = cast("Any", None)
    runner, connections = await FaultyEndpoint(server.engine, nothing, nothing, str, str).run()
    listener = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()
    await runner.cleanup()
    await server.close()


async def test_a_fault_is_told_in_json_and_logged_with_its_traceback(url: str) -> None:
    with capture_logs() as lines:
        async with aiohttp.ClientSession() as client, client.get(f"{url}/v1/before") as response:
            assert (response.status, response.content_type) == (500, "application/json")
            assert await response.json() == {"error": "internal error: see the server's log"}
    (line,) = [line for line in lines if line["event"] == "request failed"]
    assert (line["method"], line["path"], line["exc_info"]) == ("GET", "/v1/before", True)


async def test_an_answer_that_has_begun_is_broken_off(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "aiohttp.server"):
        async with aiohttp.ClientSession() as client, client.get(f"{url}/v1/amid") as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
