#!/usr/bin/env bash
# Who gets a Close frame, and has not sent one, must send one back (RFC 6455, 5.5.1); a server that closes waits for it,
# and takes 1006, "abnormal", where none comes. And "ws://host" is "ws://host/" (3, "an empty path is /"). One expects
# simple-websocket's Client to do both.
# It closes the connection without an answer, with threads and with asyncio alike, though it hands the code of the Close
# to its user: each hang-up that a server begins is abnormal to the server. An address without a path is a
# LocalProtocolError. websockets does both.
# Who tells calls that were cut off from those that ended well, by the code, counts all of them as cut off.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check simple-websocket==1.1.0 websockets==17.4 wsproto==1.3.2
"$T/v/bin/python" - <<'E'
import asyncio, queue, threading
from importlib.metadata import version
import simple_websocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve
print("simple-websocket", version("simple-websocket"), "websockets", version("websockets"))
print("expected: a server that closes with 4000 has 4000 (or 1000) back")
told = queue.Queue()

def handler(connection):
    connection.recv()
    connection.close(4000, "end")
    told.put(int(connection.close_code))

server = serve(handler, "127.0.0.1", 0)
address = "ws://127.0.0.1:%d" % server.socket.getsockname()[1]
threading.Thread(target=server.serve_forever, daemon=True).start()

def threads():
    client = simple_websocket.Client(address + "/")
    client.send("go")
    try:
        client.receive()
    except simple_websocket.ConnectionClosed as end:
        return int(end.reason)

def tasks():
    async def main():
        client = await simple_websocket.AioClient.connect(address + "/")
        await client.send("go")
        try:
            await client.receive()
        except simple_websocket.ConnectionClosed as end:
            return int(end.reason)
    return asyncio.run(main())

def other():
    with connect(address) as client:
        client.send("go")
        try:
            client.recv()
        except ConnectionClosed:
            pass
    return client.close_code

for name, call, seen in (("simple-websocket", threads, 1006), ("simple-websocket, asyncio", tasks, 1006), ("websockets", other, 4000)):
    client, at_server = call(), told.get(timeout=20)
    print(f"seen: {name}: the client has {client}, the server {at_server}")
    assert (client, at_server) == (4000, seen)
for path, raises in (("/", False), ("", True)):
    try:
        client = simple_websocket.Client(address + path)
        client.send("go")
        told.get(timeout=20)
        error = None
    except Exception as found:
        error = found
    print(f"seen: ws://host{path}:", repr(error) if error else "connected")
    assert (type(error).__name__ == "LocalProtocolError") == raises
E
