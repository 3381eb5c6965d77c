"""Peers of the admin port that never finish a request, or never go: no call loses by them, and health is told."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import peers
from tests.faults.beside import Report, counting_server, descriptors, fifty_calls, scrape
from tests.server.process import ServerProcess, get, listen
from tests.timing import PATIENCE

GRANTED = 400  # descriptors
MANY = 600
CONNECTIONS = 32  # of the admin port
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALVES = {
    "silent": b"",
    "half": REQUEST[:-2],
    "no-body": b"POST /v1/attach HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "idle": REQUEST,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with few descriptors, and with patience: nobody is too late."""
    with counting_server(tmp_path, handshake_timeout=1000.0) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (GRANTED, GRANTED))
        yield server


def say_all(port: int, said: bytes) -> list[socket.socket]:
    """So many connections, all of which say the same."""
    crowd: list[socket.socket] = []
    while len(crowd) < MANY:
        if len(crowd) % 10 == 0:
            time.sleep(0.002)  # the calls beside have their turns in this process, too
        crowd.append(peers.connect(port))
        with contextlib.suppress(ConnectionError):
            crowd[-1].sendall(said)
    return crowd


@pytest.mark.parametrize("said", HALVES.values(), ids=HALVES)
async def test_who_dawdles_on_the_admin_port(server: ServerProcess, report: Report, said: bytes) -> None:
    port = int(server.admin.rpartition(":")[2])
    async with fifty_calls(server, report) as since:
        before = descriptors(server)
        crowd = await asyncio.to_thread(say_all, port, said)
        try:
            for _ in range(5):
                heard = await asyncio.wait_for(listen(server.url("/prompt"), frames=5), PATIENCE)
                assert len(heard.messages) == 5
                assert await get(server.admin_url("/readyz")) == (200, "ready\n")
            assert descriptors(server) <= before + CONNECTIONS + 1
            assert (await scrape(server))["mediaserver_admin_connections"] <= CONNECTIONS + 1
            gone = await since.count("mediaserver_admin_refusals_total", reason="connections")
            assert gone >= MANY - CONNECTIONS
            assert await since.count("mediaserver_refusals_total") == 0
        finally:
            for peer in crowd:
                peer.close()
