"""A server process that dials the twin, and tells a backend."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from tests.server.process import ServerProcess, serving, write_config
from tests.twin import Twin
from tests.use_cases.backend import SECRET, Backend

Serve = Callable[[str], AbstractContextManager[ServerProcess]]


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    """Our side of a connection, where it is in this process, runs as in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with Backend() as backend:
        yield backend


@pytest.fixture
def serve(tmp_path: Path, twin: Twin, backend: Backend) -> Serve:
    """A server with these paths; prompts and handlers are found in `tmp_path`."""

    @contextlib.contextmanager
    def start(paths: str) -> Iterator[ServerProcess]:
        tables = f"""
            [voipbin]
            api = "{twin.api}"
            token = "env:PLATFORM_TOKEN"
            [events]
            url = "{backend.url}/events?key=very-private"
            secret = "{SECRET}"
        """
        config = write_config(tmp_path, tables + paths.replace("BACKEND", backend.url))
        with serving(config, PLATFORM_TOKEN="t0ken", PYTHONPATH=str(tmp_path)) as server:
            yield server
            log = server.log_file.read_text()
            assert "t0ken" not in log
            assert "very-private" not in log
            assert SECRET not in log
            assert "Traceback" not in log

    return start


async def attach(server: ServerProcess, resource: str, path: str, **more: object) -> str:
    """Ask the server to attach; the stream's id."""
    body = {"resource": resource, "path": path} | more
    async with aiohttp.ClientSession() as client, client.post(server.admin_url("/v1/attach"), json=body) as answer:
        said = await answer.json()
        assert answer.status == 202, said
        return said["id"]
