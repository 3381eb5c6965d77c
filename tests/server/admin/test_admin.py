"""The admin port: by which host names it answers, and how many connections may wait for how long."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.process import ServerProcess, get, serving, write_config
from tests.timing import PATIENCE

MAX_ADMIN_CONNECTIONS = 32
TIMEOUT = 0.5
PATHS = '[paths."/silence"]\nhandler = "silence"\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    admin = 'hosts = ["Media.Internal", "mediaserver"]\n'
    config = write_config(tmp_path_factory.mktemp("admin"), admin + PATHS, handshake_timeout=TIMEOUT)
    with serving(config) as server:
        yield server


def connect(server: ServerProcess) -> socket.socket:
    plug = socket.create_connection(("127.0.0.1", int(server.admin.rpartition(":")[2])))
    plug.settimeout(PATIENCE)
    return plug


def told(plug: socket.socket) -> bytes:
    """All that comes by a connection until the server closes it."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := plug.recv(65536):
            said += data
    return said


def ask(server: ServerProcess, request: str, *headers: str, version: str = "1.1") -> tuple[int, bytes]:
    """Status and body of an answer to a request with these headers and no others."""
    with connect(server) as plug:
        lines = (f"{request} HTTP/{version}", *headers, "Connection: close", "", "")
        plug.sendall("\r\n".join(lines).encode())
        head, _, body = told(plug).partition(b"\r\n\r\n")
        return int(head.split()[1]), body


async def counted(server: ServerProcess, reason: str) -> float:
    _, text = await get(server.admin_url("/metrics"))
    (line,) = [line for line in text.splitlines() if f'admin_refusals_total{{reason="{reason}"}}' in line]
    return float(line.split()[1])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1", "10.0.0.7", "[::1]:8081", "localhost", "media.internal", "mediaserver:8081"]
)
def test_own_names_are_answered(server: ServerProcess, host: str) -> None:
    assert ask(server, "GET /v1/streams", f"Host: {host}") == (200, b'{"streams": [], "total": 0}')
    assert ask(server, "GET /v1/streams", f"Host: {host}", f"Origin: http://{host}")[0] == 200


def test_a_call_of_the_admin_port_is_told_where_it_has_come_to(server: ServerProcess) -> None:
    answer = ask(server, "GET /audio-stream", "Host: localhost", "Upgrade: websocket", "Connection: upgrade")
    assert answer == (404, b'{"error": "the admin port has no /audio-stream"}')


@pytest.mark.parametrize(
    "request_", ["POST /v1/attach", "GET /v1/streams", "GET /metrics", "DELETE /v1/streams/1", "GET /x"]
)
async def test_the_name_of_another_site_is_refused(server: ServerProcess, request_: str) -> None:
    """A hostile page may have its name resolve to the admin port (DNS rebinding): same origin, to the browser."""
    before = await counted(server, "host")
    status, body = ask(server, request_, "Host: evil.example.com:8081", "Origin: http://evil.example.com:8081")
    assert status == 403
    assert json.loads(body) == {"error": "evil.example.com is not a name of this server: add it to admin.hosts"}
    assert await counted(server, "host") == before + 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_checks_are_answered_under_any_name(server: ServerProcess, path: str) -> None:
    assert ask(server, f"GET {path}", "Host: any.example.com")[0] == 200
    assert ask(server, f"GET {path}", version="1.0")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: a b"],
        ["Host: [::"],
        ["Host: localhost", "Origin: http://["],
        ["Host: localhost", "Origin: http://localhost:99999999999"],
        ["Host: localhost", "Origin: \x01"],
        ["Host: user@localhost"],
        ["Host: localhost", "Host: localhost"],
    ],
)
async def test_malformed_headers_are_refused(server: ServerProcess, headers: list[str]) -> None:
    before = await counted(server, "malformed")
    assert ask(server, "GET /v1/streams", *headers)[0] == 400
    assert await counted(server, "malformed") == before + 1
    assert "Traceback" not in server.log_file.read_text()


def test_with_the_token_any_name_is_answered(tmp_path: Path) -> None:
    """A page of another site does not have the token."""
    with serving(write_config(tmp_path, f'token = "of-the-admin"\n{PATHS}')) as server:
        assert ask(server, "GET /metrics", "Host: mediaserver:8081")[0] == 401
        authorised = ask(server, "GET /metrics", "Host: mediaserver:8081", "Authorization: Bearer of-the-admin")
        assert authorised[0] == 200


@pytest.mark.parametrize("name", ["http://media", "media:8081", "", "a b", "[::1]", "*"])
def test_a_configured_name_with_a_port_or_path_is_a_mistake(tmp_path: Path, name: str) -> None:
    from mediaserver import config

    settings, problems = config.load(write_config(tmp_path, f"hosts = [{json.dumps(name)}]\n{PATHS}"))
    assert settings.admin.hosts == ()
    (line,) = [line for line in problems if "admin.hosts" in line]
    assert (
        "should be the whole name of a host, such as media.internal, with no scheme and no port; IP addresses"
        in line
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /metr",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /v1/attach HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ],
)
async def test_half_a_request_is_timed_out(server: ServerProcess, said: bytes) -> None:
    before = await counted(server, "slow")
    with connect(server) as plug:
        plug.sendall(said)
        assert (await asyncio.to_thread(told, plug)).startswith(b"HTTP/1.1 408 ")
    assert await counted(server, "slow") == before + 1
    assert not [line for line in server.log if line["level"] == "error"]


async def test_half_a_request_behind_a_whole_one_is_timed_out(server: ServerProcess) -> None:
    before = await counted(server, "slow")
    with connect(server) as plug:
        plug.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" in plug.recv(65536)
        plug.sendall(b"GET /he")
        assert await asyncio.to_thread(told, plug) == b""  # which would be taken for the answer
    assert await counted(server, "slow") == before + 1


async def test_idle_connections_are_evicted_the_oldest_first(server: ServerProcess) -> None:
    before = await counted(server, "connections")
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(MAX_ADMIN_CONNECTIONS):  # each asks at once: a first request may take a limited time only
            idle.append(stack.enter_context(connect(server)))
            idle[-1].sendall(request)
            assert b"alive" in idle[-1].recv(65536)
        idle[0].sendall(request)
        assert b"alive" in idle[0].recv(65536)  # it is the newest now
        assert (await get(server.admin_url("/healthz")))[0] == 200
        assert await asyncio.to_thread(told, idle[1]) == b""
        idle[0].sendall(request)
        assert b"alive" in idle[0].recv(65536)
    assert await counted(server, "connections") >= before + 1


async def test_admin_connections_are_counted_while_they_are_open(server: ServerProcess) -> None:
    async def connections() -> float:
        _, text = await get(server.admin_url("/metrics"))
        return float(text.split("\nmediaserver_admin_connections ")[1].split()[0])

    with connect(server):
        assert await connections() >= 2
    async with asyncio.timeout(PATIENCE):
        while await connections() > 1:
            await asyncio.sleep(0.01)
