#!/usr/bin/env bash
# A peer sends its last message and a close frame with 1000, and closes the connection. The other side was busy for a
# moment, and sends two frames before it reads, as whoever sends sound every 20 ms does. One expects it to read what
# had arrived, as TCP and the kernel have it: recv() on a plain socket does. asyncio's transports and uvloop's give a
# connection up as soon as a write fails, and close the socket with all that is still unread. The first write goes
# out, the peer's kernel answers with RST, the second write fails. So the last words are gone. websockets reports 1006,
# a connection that broke, where the peer had said 1000, and calls look as if the network failed under load only.
# That a protocol can still read the socket in connection_lost() is not documented.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check uvloop==0.23.0 websockets==15.0.1
"$T/v/bin/python" - <<'E'
import asyncio
import socket
import sys
import threading
from importlib.metadata import version

import uvloop
import websockets
from websockets.asyncio.client import connect
from websockets.sync.server import serve

closed = threading.Event()


def plain_peer(listener):
    peer, _ = listener.accept()
    with peer:
        peer.recv(5)
        peer.sendall(b"last words")
    closed.set()


def serving():
    listener = socket.create_server(("127.0.0.1", 0))
    closed.clear()
    threading.Thread(target=plain_peer, args=(listener,)).start()
    return listener.getsockname()[1]


def with_a_socket():
    with socket.create_connection(("127.0.0.1", serving())) as connection:
        connection.sendall(b"hello")
        closed.wait()
        connection.sendall(b"frame")
        try:
            connection.sendall(b"frame")
        except OSError:
            pass
        return connection.recv(100)


async def with_streams():
    reader, writer = await asyncio.open_connection("127.0.0.1", serving())
    writer.write(b"hello")
    closed.wait()  # the event loop is busy
    writer.write(b"frame")
    writer.write(b"frame")
    try:
        return await reader.read(100)
    except OSError as error:
        return type(error).__name__
    finally:
        writer.transport.abort()


def websocket_peer(connection):
    connection.recv()
    connection.send("last words")
    connection.protocol.send_close(1000)
    connection.socket.sendall(b"".join(connection.protocol.data_to_send()))
    connection.socket.shutdown(socket.SHUT_RDWR)
    connection.socket.close()
    closed.set()


async def with_websockets():
    with serve(websocket_peer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        closed.clear()
        async with connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}") as connection:
            await connection.send("hello")
            closed.wait()
            try:
                await connection.send(b"frame")
                await connection.send(b"frame")
                return await connection.recv()
            except websockets.ConnectionClosed as error:
                return error.rcvd.code if error.rcvd else 1006
            finally:
                server.shutdown()


print("Python", sys.version.split()[0], "uvloop", version("uvloop"), "websockets", version("websockets"))
seen = with_a_socket()
print(f"a plain socket: expected b'last words', seen {seen}")
assert seen == b"last words"
for name, new_loop in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
    for kind, how, lost in (("streams", with_streams, None), ("websockets", with_websockets, 1006)):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            seen = runner.run(how())
        print(f"{name}, {kind}: expected 'last words', seen {seen}")
        assert seen != "last words" and seen != b"last words" and (lost is None or seen == lost)
E
