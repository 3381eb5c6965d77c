"""A peer says its last words and closes before the server reads them, which writes meanwhile."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.events.hub import HubEvent
from mediaserver.events.kinds import EventKind
from mediaserver.transport.masking import mask
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire import websocket
from tests.kernel import unacknowledged
from tests.server.http.test_tls import Certified
from tests.server.in_process import running
from tests.server.plain_peer import HANGUP, UUID_MESSAGE, message
from tests.server.process import audiosocket_ports, upgrade_request
from tests.sound import read_wav, speechlike
from tests.timing import PATIENCE, eventually

WORDS = to_bytes(speechlike(160 * 12))
FRAMES = [WORDS[at : at + FRAME_BYTES] for at in range(0, len(WORDS), FRAME_BYTES)]
PATH = '[paths."/record"]\nhandler = "record"\ndirectory = "{}"\nfile = "words.wav"\nframing = "pcm"\n'
GOODBYE = mask(websocket.close(1000), b"keys")


def as_message(frame: bytes) -> bytes:
    return message(0x10, frame)


def as_websocket(frame: bytes) -> bytes:
    return mask(websocket.binary(frame), b"keys")


def dial(port: int, first: bytes, context: ssl.SSLContext | None) -> socket.socket:
    """A connection that has sent its first bytes, and has heard something."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
    connection.sendall(first)
    assert connection.recv(1)
    return connection


def read_all(connection: socket.socket) -> None:
    """Read what has come: a connection that is closed before would be reset at once, with what it has sent."""
    connection.setblocking(False)
    with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
        while connection.recv(65_536):
            pass
    connection.setblocking(True)


def wait_until_acknowledged(connection: socket.socket) -> None:
    """Wait until the other kernel has all that was sent."""
    deadline = time.monotonic() + PATIENCE
    while unacknowledged(connection):
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def record(folder: Path, transport: str) -> None:
    certified = Certified(folder)
    tcp = transport == "audiosocket"
    settings = {"tls": certified.settings, "audiosocket": audiosocket_ports("/record")}.get(transport, "")
    pack: Callable[[bytes], bytes] = as_message if tcp else as_websocket
    ended: list[Mapping[str, Any]] = []

    def note(event: HubEvent) -> bool:
        if event.kind == EventKind.STREAM_ENDED:
            ended.append(event.data)
        return False

    async with running(folder, settings + PATH.format(folder / "recordings")) as server:
        server.engine.events.subscribe(wanted=note)
        connections = server.endpoint.connections
        port = next(iter(server.audiosocket.bound)) if tcp else server.port
        first = UUID_MESSAGE if tcp else upgrade_request("/record")
        context = certified.client if transport == "tls" else None
        with await asyncio.to_thread(dial, port, first, context) as connection:
            await eventually(lambda: server.engine.ticker.frames)
            (theirs,) = cast("set[WebSocketConnection]", connections._tracked if tcp else connections._websockets)
            theirs.transport.pause_reading()
            read_all(connection)
            for frame in FRAMES:
                connection.sendall(pack(frame))
            connection.sendall(HANGUP if tcp else GOODBYE)
            wait_until_acknowledged(connection)
        await eventually(lambda: ended)
    assert to_bytes(read_wav(folder / "recordings/words.wav")) == WORDS
    assert ended[0]["reason"] == ("peer-hung-up" if tcp else "peer-closed")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("transport", ["websocket", "tls", "audiosocket"])
def test_last_words_are_recorded_whole(
    tmp_path: Path, transport: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(record(tmp_path, transport))
