"""Calls by wss:// through the shipped proxy configs, to a real server."""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import trustme
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from yarl import URL

from mediaserver.support.http_connector import Connector
from tests.deploy.proxies import DEPLOY, HOST, Proxy, Start, caddy, caddy_binary, caddyfile, cuts_streams, nginx
from tests.server.process import (
    UPGRADE,
    Heard,
    ServerProcess,
    client_session,
    connected,
    get,
    serving,
    write_config,
)
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually, late

FRAMES = 30
SPEECH = speechlike(FRAMES * 160)
SECRET = "tok-8f2a"
SAYS_MUCH = {"Referer": f"https://here/?token={SECRET}", "Authorization": f"Bearer {SECRET}"}

PATHS = """
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
[paths."/tone/{tone}"]
handler = "tone"
tone = "{tone}"
[paths."/silence"]
handler = "silence"
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = write_config(tmp_path_factory.mktemp("server"), PATHS, trusted_proxies=["127.0.0.1/32"])
    write_wav(config.parent / "prompts/speech.wav", SPEECH)
    with serving(config) as server:
        yield server


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def start(request: pytest.FixtureRequest) -> Start:
    starter: Start = request.param
    return starter


@pytest.fixture(scope="module")
def proxy(
    start: Start, server: ServerProcess, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy before the server."""
    with start(tmp_path_factory.mktemp("proxy"), server.port, authority) as proxy:
        yield proxy


@pytest.fixture
async def echo(aiohttp_server: AiohttpServer) -> int:
    """The port of an upstream that answers with the request as it came."""

    async def tell(request: web.Request) -> web.Response:
        body = await request.text()
        return web.json_response({"path": request.raw_path, "headers": dict(request.headers), "body": body})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tell)
    server = await aiohttp_server(app)
    assert server.port is not None
    return server.port


@contextlib.asynccontextmanager
async def dial(
    proxy: Proxy, path: str, trust: ssl.SSLContext, **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket through the proxy, as wss://media.example.com would be."""
    async with connected(url(proxy, path, "wss"), autoping=False, **options(trust, headers)) as websocket:
        yield websocket


def url(proxy: Proxy, path: str, scheme: str = "https") -> str:
    return f"{scheme}://127.0.0.1:{proxy.port}{path}"


def options(trust: ssl.SSLContext, headers: dict[str, str]) -> dict[str, Any]:
    return {"ssl": trust, "server_hostname": HOST, "headers": {"Host": HOST} | headers}


async def test_a_whole_prompt_comes_on_time(proxy: Proxy, trust: ssl.SSLContext) -> None:
    heard = Heard()
    async with dial(proxy, "/play/speech?encapsulation=sln", trust) as websocket:
        while (message := await websocket.receive()).type == aiohttp.WSMsgType.BINARY:
            heard.messages.append(message.data)
            heard.times.append(time.monotonic())
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1000)
    assert np.array_equal(np.frombuffer(b"".join(heard.messages), "<i2"), SPEECH)
    assert {len(message) for message in heard.messages} == {320}
    due = heard.times[0] + 0.020 * np.arange(FRAMES)
    assert np.abs(np.array(heard.times) - due).max() < 0.1 * UNIT + late()
    assert np.median(np.diff(heard.times)) == pytest.approx(0.020, abs=0.005 * UNIT)


async def test_a_refusal_comes_with_its_text(proxy: Proxy, trust: ssl.SSLContext) -> None:
    refused = await get(url(proxy, "/play/speach"), **options(trust, UPGRADE))
    assert refused == (404, 'no prompt "speach" (did you mean "speech"?)\n')
    plain = await get(url(proxy, "/silence"), **options(trust, {}))
    assert plain == (426, "/silence is a media stream: connect to it by WebSocket\n")


async def test_an_escaped_path_stays_escaped(proxy: Proxy, trust: ssl.SSLContext) -> None:
    async with dial(proxy, "/tone/480+620%2F500,0%2F500", trust) as websocket:
        assert len(await websocket.receive_bytes(timeout=PATIENCE)) == 320


async def test_pings_go_through(proxy: Proxy, trust: ssl.SSLContext) -> None:
    async with dial(proxy, "/silence", trust) as websocket:
        await websocket.ping(b"are you there")
        async with asyncio.timeout(PATIENCE):
            while (message := await websocket.receive()).type != aiohttp.WSMsgType.PONG:
                assert message.type == aiohttp.WSMsgType.BINARY
        assert message.data == b"are you there"


async def test_a_reload_takes_a_change_in_and_cuts_no_stream(
    start: Start, server: ServerProcess, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path, echo: int
) -> None:
    if start is caddy and cuts_streams(caddy_binary()):
        pytest.skip("this Caddy cuts streams")
    with start(tmp_path, server.port, authority) as proxy:
        async with dial(proxy, "/silence", trust) as websocket:
            await websocket.receive_bytes()
            text = proxy.config.read_text()
            proxy.config.write_text(text.replace(f"127.0.0.1:{server.port}", f"127.0.0.1:{echo}"))
            await asyncio.to_thread(proxy.reload)
            async with asyncio.timeout(PATIENCE):
                while (await get(url(proxy, "/silence"), **options(trust, {})))[0] != 200:
                    await asyncio.sleep(0.01)
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                assert len(await websocket.receive_bytes(timeout=PATIENCE)) == 320


async def test_a_token_is_in_no_log(proxy: Proxy, trust: ssl.SSLContext) -> None:
    async with dial(proxy, f"/play/speech?token={SECRET}", trust, **SAYS_MUCH) as websocket:
        await websocket.receive_bytes()
    await get(url(proxy, f"/nowhere?sig={SECRET}"), **options(trust, UPGRADE | SAYS_MUCH))
    await eventually(lambda: "/nowhere" in proxy.access.read_text() and "/play/speech" in proxy.access.read_text())
    assert SECRET not in proxy.logs


async def test_a_token_is_in_no_log_of_errors(
    start: Start, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path, unused_tcp_port: int
) -> None:
    with start(tmp_path, unused_tcp_port, authority) as proxy:
        status, _ = await get(url(proxy, f"/silence?token={SECRET}"), **options(trust, UPGRADE | SAYS_MUCH))
        assert status == 502
        await get(url(proxy, f"/large?token={SECRET}"), **options(trust, {"X-Large": "x" * 40_000}))
        await eventually(lambda: "/silence" in proxy.access.read_text())
        await eventually(lambda: "502" in proxy.access.read_text())
        assert SECRET not in proxy.logs


async def test_a_fetch_of_a_flow_goes_through_and_its_secret_is_in_no_log(
    start: Start, echo: int, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    path, body = f"/flow/{SECRET}%2Fx/menu?flow_round=1&flow_digits=*", '{"activeflow_id": "1"}'
    with start(tmp_path, echo, authority) as proxy:
        async with client_session() as client:
            asked = URL(url(proxy, path), encoded=True)
            async with client.post(asked, data=body, **options(trust, {})) as response:
                told = await response.json()
        await eventually(lambda: "/flow/" in proxy.access.read_text())
        assert SECRET not in proxy.logs
    assert (told["path"], told["body"]) == (path, body)


async def test_a_webhook_goes_through_with_its_signature(
    start: Start, echo: int, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    """Byte by byte, as it is signed. Its body may be larger than anything else that comes in."""
    body = " {}" * 50_000
    with start(tmp_path, echo, authority) as proxy:
        async with client_session() as client:
            sent = options(trust, {"X-VoIPBIN-Signature": "sha256=ab"})
            async with client.post(url(proxy, "/webhook"), data=body, **sent) as response:
                told = await response.json()
            async with client.post(url(proxy, "/other"), data=body, **options(trust, {})) as response:
                refused = response.status
    assert (told["path"], told["body"]) == ("/webhook", body)
    headers = {name.lower(): value for name, value in told["headers"].items()}  # Caddy writes names in its own way
    assert headers["x-voipbin-signature"] == "sha256=ab"
    assert refused == 413


async def test_the_server_is_told_the_real_peer(
    start: Start, echo: int, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    claims = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "gopher", "Accept-Encoding": "identity"}
    with start(tmp_path, echo, authority) as proxy:
        async with client_session() as client:
            asked = url(proxy, "/play/a%2Fb?token=t")
            async with client.get(asked, **options(trust, UPGRADE | claims)) as response:
                told = await response.json()
    headers = told["headers"]
    assert told["path"] == "/play/a%2Fb?token=t"
    assert (headers["X-Forwarded-For"], headers["X-Forwarded-Proto"]) == ("127.0.0.1", "https")
    assert headers["Host"] == HOST
    assert headers["Accept-Encoding"] == "identity"
    assert (headers["Upgrade"], headers["Connection"].lower()) == ("websocket", "upgrade")


async def test_the_server_believes_it(proxy: Proxy, server: ServerProcess, trust: ssl.SSLContext) -> None:
    peer = Connector(local_addr=("127.0.0.2", 0))
    claims = {"X-Forwarded-For": "203.0.113.7"}
    refused = len(server.events("refused"))
    async with (
        aiohttp.ClientSession(connector=peer) as client,
        client.get(url(proxy, "/who"), **options(trust, UPGRADE | claims)) as response,
    ):
        assert response.status == 404
    await eventually(lambda: len(server.events("refused")) > refused)
    assert server.events("refused")[-1]["peer"] == "127.0.0.2"


async def test_a_scanner_gets_no_certificate(proxy: Proxy, trust: ssl.SSLContext) -> None:
    for name in ("127.0.0.1", "elsewhere.example.com"):
        plug = socket.create_connection(("127.0.0.1", proxy.port))
        with pytest.raises(ssl.SSLError) as refused:
            await asyncio.open_connection(sock=plug, ssl=trust, server_hostname=name)
        await eventually(lambda: plug.fileno() == -1)  # noqa: B023 - nobody else waits for it
        assert not isinstance(refused.value, ssl.SSLCertVerificationError)


SECONDS = UNIT  # in which those who are quick are through
SHORT: dict[Start, dict[str, str]] = {
    nginx: {"client_header_timeout 10s;": f"client_header_timeout {SECONDS:g}s;", "keepalive_timeout 10s;": ""},
    caddy: {f"{name} 10s": f"{name} {SECONDS:g}s" for name in ("read_header", "read_body", "idle")},
}


async def test_a_slow_handshake_is_cut_and_a_long_stream_is_not(
    start: Start, server: ServerProcess, authority: trustme.CA, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    """By the time-outs of the config, made short."""
    with start(tmp_path, server.port, authority, SHORT[start]) as proxy:
        async with dial(proxy, "/silence", trust) as websocket:
            until = time.monotonic() + 1.5 * SECONDS
            await asyncio.gather(
                is_cut(proxy),  # in the middle of TLS
                is_cut(proxy, ssl=trust, server_hostname=HOST),  # in the middle of the request
            )
            while time.monotonic() < until:
                await websocket.receive_bytes(timeout=PATIENCE)


async def is_cut(proxy: Proxy, **tls: Any) -> None:
    """A connection that says only half of what it must is closed, without a word to speak of."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, **tls)
    writer.write(b"GET /silence HTTP/1.1\r\n" if tls else b"\x16\x03\x01")
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            assert b"101" not in await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def test_the_caddyfile_is_right_and_in_form(tmp_path: Path) -> None:
    """As it is shipped; nginx.conf names a certificate that is not there, and is checked by running it."""
    binary, homes = caddy_binary(), {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    (tmp_path / "Caddyfile").write_text(caddyfile(binary))
    for command in (["fmt"], ["validate", "--adapter", "caddyfile", "--config"]):
        done = subprocess.run(
            [binary, *command, tmp_path / "Caddyfile"],
            env=homes,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if command == ["fmt"]:
            assert done.stdout == caddyfile(binary)


def test_the_caddyfile_is_written_for_old_ones_as_well() -> None:
    """Debian 12's takes no field of a filter outside `fields`; what else it does not take is told at the top."""
    text = (DEPLOY / "Caddyfile").read_text()
    assert re.search(r"format filter \{\s+wrap json\s+fields \{\s+request>uri", text)
    assert "Caddy 2.7 or newer. Debian 12 has 2.6.2, which takes it without the line `stream_close_delay`" in text
