"""Peers that do not read what they are sent: real sockets with small buffers."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.process import ServerProcess, get, listen, serving, upgrade_request, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually

PATHS = """
[paths."/"]
handler = "playback"
prompt = "a"
repeat = "forever"
framing = "pcm"
"""
SECOND = speechlike(8000)


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    config = write_config(tmp_path, PATHS, stall_timeout=getattr(request, "param", 2))
    write_wav(tmp_path / "prompts/a.wav", SECOND)
    with serving(config) as server:
        yield server


def dial(server: ServerProcess) -> socket.socket:
    """A peer with a small receive buffer, right after its upgrade."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(upgrade_request("/"))
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += peer.recv(1)
    assert reply.startswith(b"HTTP/1.1 101 ")
    return peer


async def test_a_peer_that_never_reads_is_closed_and_costs_its_own_stream_only(server: ServerProcess) -> None:
    with dial(server) as peer:
        beside = asyncio.create_task(listen(server.url("/"), frames=250))
        await eventually(lambda: [line for line in server.events("stream ended") if line["reason"] == "stalled"])
        (line,) = server.events("stream ended")
        assert (line["code"], line["stalls"]) == (1006, 1)
        assert line["frames"] < 50 * (line["duration_s"] - 1)  # it was paused, not piled up
        heard = await beside
        with contextlib.suppress(ConnectionResetError):  # what the kernels still hold, then the end
            peer.settimeout(PATIENCE)
            while await asyncio.to_thread(peer.recv, 65536):
                pass
    second = SECOND.astype("<i2").tobytes()
    assert b"".join(heard.messages) == second * 5


@pytest.mark.parametrize("server", [60], indirect=True)
async def test_a_peer_that_reads_again_gets_the_rest_without_a_gap(server: ServerProcess) -> None:
    with dial(server) as peer:
        async with asyncio.timeout(PATIENCE):
            while not await stalls(server):  # until nothing more is sent
                await asyncio.sleep(0.05)
        received = b""
        peer.settimeout(PATIENCE)
        while len(received) < 324 * 300:
            received += await asyncio.to_thread(peer.recv, 65536)
    messages = [received[at : at + 324] for at in range(0, 324 * 300, 324)]
    assert {message[:4] for message in messages} == {b"\x82\x7e\x01\x40"}
    second = SECOND.astype("<i2").tobytes()
    assert b"".join(message[4:] for message in messages) == second * 6
    await eventually(lambda: server.events("stream ended"))
    assert server.events("stream ended")[0]["stalls"] == 1


async def stalls(server: ServerProcess) -> int:
    """How often the one stream has paused for its peer."""
    _, text = await get(server.admin_url("/v1/streams"))
    (stream,) = json.loads(text)["streams"]
    return int(stream["stalls"])
