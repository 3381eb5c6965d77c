"""Hostile peers and faulty handlers: each costs its own stream at most, and leaves nothing behind."""

import asyncio
import contextlib
import json
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.server.process import ServerProcess, connected, listen, serving, upgrade_request, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually

PATHS = """
[paths."/silence"]
handler = "silence"
[paths."/forever"]
handler = "playback"
prompt = "a"
repeat = "forever"
[paths."/analyse"]
handler = "analyse"
[paths."/closing"]
handler = "strange:Closing"
[paths."/stubborn"]
handler = "strange:Stubborn"
[paths."/telling"]
handler = "strange:Telling"
"""

HANDLERS = """
import asyncio
from mediaserver.handlers import Handler

class Closing(Handler):
    async def run(self, call):
        call.close(4000, "bye")

class Stubborn(Handler):
    async def run(self, call):
        while True:
            try:
                await call.silence()
            except asyncio.CancelledError:
                pass

class Telling(Handler):
    async def run(self, call):
        stream, query = call.stream, call.stream.query
        raise RuntimeError("a fault")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    config = write_config(tmp_path, PATHS, drain_timeout=0.5)
    write_wav(tmp_path / "prompts/a.wav", speechlike(8000))
    (tmp_path / "strange.py").write_text(HANDLERS)
    with serving(config, PYTHONPATH=str(tmp_path)) as server:
        yield server


async def ends_cleanly(server: ServerProcess) -> bool:
    server.process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(server.process.wait, PATIENCE) == 0


async def test_a_close_in_the_same_segment_as_the_handshake(server: ServerProcess) -> None:
    close = b"\x88\x82" + bytes(4) + struct.pack(">H", 1000)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(upgrade_request("/silence") + close)
            peer.settimeout(PATIENCE)
            while await asyncio.to_thread(peer.recv, 4096):
                pass
    await eventually(lambda: len(server.events("stream ended")) == 5)
    assert {line["reason"] for line in server.events("stream ended")} == {"peer-closed"}
    assert await ends_cleanly(server)


async def test_a_reset_right_after_the_request_is_no_fault_of_ours(server: ServerProcess) -> None:
    for padding in (0, 5000) * 30:
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(upgrade_request("/silence?" + padding * "x"))
    heard = await listen(server.url("/forever"), frames=10)
    assert len(heard.messages) == 10
    assert [line for line in server.log if line["level"] == "error"] == []
    assert await ends_cleanly(server)


async def test_a_peer_that_pings_and_vanishes_is_no_fault_of_ours(server: ServerProcess) -> None:
    ping, close = b"\x89\x80" + bytes(4), b"\x88\x82" + bytes(4) + struct.pack(">H", 1000)
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(upgrade_request("/silence"))
            assert (await asyncio.to_thread(peer.recv, 4096)).startswith(b"HTTP/1.1 101 ")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(3 * ping + close)
    await eventually(lambda: len(server.events("stream ended")) == 10)
    assert [line for line in server.log if line["level"] == "error"] == []


async def test_a_handler_may_close_the_stream_at_its_end(server: ServerProcess) -> None:
    heard = await listen(server.url("/closing"))
    assert heard.close_code == 4000
    await eventually(lambda: server.events("stream ended"))
    assert server.events("stream ended")[0]["code"] == 4000
    assert await ends_cleanly(server)


async def test_a_handler_that_will_not_end_does_not_hold_up_the_shutdown_for_ever(server: ServerProcess) -> None:
    async with connected(server.url("/stubborn")) as websocket:
        await websocket.receive_bytes()
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 1
    (told,) = server.events("handlers stuck after drain")
    assert told["paths"] == ["/stubborn"]


async def test_few_messages_with_much_in_them_are_a_flood_too(server: ServerProcess) -> None:
    """Each message holds four seconds of audio: the limit counts bytes as well as messages."""
    async with connected(server.url("/analyse?encapsulation=sln")) as websocket:
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            for _ in range(400):
                await websocket.send_bytes(bytes(64_000))
    await eventually(lambda: server.events("stream ended"))
    (ended,) = server.events("stream ended")
    assert ended["reason"] == "flood"
    assert ended["received"] <= 4


async def test_a_second_of_audio_at_once_is_no_flood(server: ServerProcess) -> None:
    async with connected(server.url("/analyse?encapsulation=sln")) as websocket:
        await websocket.send_bytes(bytes(16_000))
        for _ in range(20):
            await websocket.receive_bytes()
    await eventually(lambda: server.events("stream ended"))
    assert server.events("stream ended")[0]["reason"] == "peer-closed"


async def test_pings_are_answered(server: ServerProcess) -> None:
    async with connected(server.url("/silence"), autoping=False) as websocket:
        await websocket.ping(b"are you there")
        while (message := await websocket.receive()).type != aiohttp.WSMsgType.PONG:
            assert message.type == aiohttp.WSMsgType.BINARY
        assert message.data == b"are you there"


async def test_tokens_reach_no_log_by_any_way(server: ServerProcess) -> None:
    await listen(server.url("/telling?token=secret1"))
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"GET /silence?token=secret2 HTTP/1.1\r\nHost: here\r\nbad header\x00: x\r\n\r\n")
        peer.settimeout(PATIENCE)
        await asyncio.to_thread(peer.recv, 4096)
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"GET /silence?token=secret3 NONSENSE/1.1\r\n\r\n")
        peer.settimeout(PATIENCE)
        await asyncio.to_thread(peer.recv, 4096)
    await eventually(lambda: server.events("stream ended"))
    text = server.log_file.read_text()
    assert "a fault" in text  # the traceback is there, its variables are not
    assert "secret" not in text
    assert all(json.loads(line) for line in text.splitlines())


async def test_misspelt_keys_are_logged_once_a_request_and_throttled(server: ServerProcess) -> None:
    for _ in range(12):
        await listen(server.url("/silence?" + "&".join(f"repea{n}=" for n in range(90))), frames=1)
    told = server.events("query key unknown")
    assert told[0]["key"] == "repea0"
    await asyncio.sleep(1)  # by then one more may be logged
    await listen(server.url("/silence?repea0=1"), frames=1)
    told = server.events("query key unknown")
    assert len(told) + sum(line.get("unlogged", 0) for line in told) == 13


async def test_a_misspelt_key_of_a_query_is_logged_with_a_hint(server: ServerProcess) -> None:
    await listen(server.url("/silence?encapsulaton=rtp&token=secret"), frames=1)
    (warning,) = server.events("query key unknown")
    assert (warning["key"], warning["hint"]) == ("encapsulaton", 'did you mean "encapsulation"?')
