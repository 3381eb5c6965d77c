#!/usr/bin/env bash
# A Pong that answers no Ping is a heartbeat in one direction, and "a response to an unsolicited
# Pong frame is not expected" (RFC 6455, 5.5.3). One expects a client to read past it.
# httpx-ws looks for the Ping that it belongs to, and where there is none it fails with a
# KeyError inside an ExceptionGroup, which is none of its own errors, and the connection is gone.
# websockets, and wsproto, which httpx-ws is built on, read past it.
# A media stream ends at the peer's first heartbeat, some seconds into each call, though all of
# its media are well; "except WebSocketDisconnect" or "except HTTPXWSException" does not catch it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check httpx-ws==0.9.0 httpx==0.28.1 wsproto==1.3.2 websockets==17.4
"$T/v/bin/python" - <<'E'
import asyncio, logging
from importlib.metadata import version

import httpx, httpx_ws, websockets
from websockets.asyncio.server import serve
from websockets.frames import Frame, Opcode

logging.disable()


async def serve_two_messages(socket):
    await socket.send("one")
    if socket.request.path == "/heartbeat":
        socket.transport.write(Frame(Opcode.PONG, b"alive").serialize(mask=False))
    await socket.send("two")
    await socket.wait_closed()


async def with_httpx(address):
    async with httpx.AsyncClient() as client, httpx_ws.aconnect_ws(address, client) as socket:
        return [await socket.receive_text(timeout=5) for _ in range(2)]


async def with_websockets(address):
    async with websockets.connect(address) as socket:
        return [await socket.recv() for _ in range(2)]


async def main():
    seen = {}
    async with serve(serve_two_messages, "127.0.0.1", 0) as server:
        for client in (with_websockets, with_httpx):
            for path in ("plain", "heartbeat"):
                try:
                    result = await client("ws://127.0.0.1:%d/%s" % (server.sockets[0].getsockname()[1], path))
                except Exception as error:
                    result = [type(error).__name__, *map(repr, getattr(error, "exceptions", ()))]
                    assert not isinstance(error, httpx_ws.HTTPXWSException)
                print(client.__name__, path, "expected: one two; seen:", *result)
                seen[client, path] = result
    both = ["one", "two"]
    assert seen == {
        (with_websockets, "plain"): both, (with_websockets, "heartbeat"): both,
        (with_httpx, "plain"): both, (with_httpx, "heartbeat"): ["ExceptionGroup", "KeyError(b'alive')"],
    }, seen


print("httpx-ws", version("httpx-ws"))
asyncio.run(asyncio.wait_for(main(), 30))
E
