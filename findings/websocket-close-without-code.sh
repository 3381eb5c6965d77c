#!/usr/bin/env bash
# A Close frame may be empty: browsers' close() and ws's send it so. RFC 6455 (7.1.5) then has
# the code 1005, "no status", and 1006 where no Close frame came at all. One expects a server to see 1005.
# aiohttp has 0, which is no code, websocket (npm) has 1006, as if the line had been cut, and
# faye-websocket has 1000. websockets, and ws on npm, have 1005. With a code in the frame all are right.
# A server that counts calls by their close code, or tells hung up from cut off by it, counts
# each polite browser wrong: one as a fault of the network, another as code 0.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ws@8.23.0 faye-websocket@0.11.4 websocket-driver@0.8.0 websocket@1.0.35 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5 websockets==17.4
cat >"$T/servers.js" <<'E'
const http = require('http'), { WebSocketServer } = require('ws'), Faye = require('faye-websocket'), { server: Server } = require('websocket');
const servers = [http.createServer(), http.createServer(), http.createServer()];
const tell = name => code => console.log(JSON.stringify([name, code]));
new WebSocketServer({ server: servers[0] }).on('connection', socket => socket.on('close', tell('ws')));
servers[1].on('upgrade', (...args) => new Faye(...args).on('close', event => tell('faye-websocket')(event.code)));
new Server({ httpServer: servers[2], autoAcceptConnections: true }).on('connect', connection => connection.on('close', tell('websocket')));
Promise.all(servers.map(s => new Promise(done => s.listen(0, '127.0.0.1', done)))).then(() => console.log(JSON.stringify(servers.map(s => s.address().port))));
E
cd "$T"
v/bin/python - <<'E'
import asyncio, json, os
from importlib.metadata import version

from aiohttp import web
from websockets.asyncio.server import serve


async def close(port, payload):
    """Opens a WebSocket, sends a Close frame with `payload`, and waits for the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes([0x88, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
    answer = await reader.readexactly(2)
    assert answer[0] == 0x88 and len(await reader.read()) == answer[1]
    writer.close()


async def main():
    told = asyncio.Queue()

    async def with_aiohttp(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        told.put_nowait(("aiohttp", socket.close_code))
        return socket

    async def with_websockets(socket):
        await socket.wait_closed()
        told.put_nowait(("websockets", socket.close_code))

    app = web.Application()
    app.router.add_get("/", with_aiohttp)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    second = await serve(with_websockets, "127.0.0.1", 0)
    node = await asyncio.create_subprocess_exec("node", "servers.js", stdout=-1)
    ports = json.loads(await node.stdout.readline())
    seen = {}
    for payload in (b"", (1000).to_bytes(2, "big"), (4000).to_bytes(2, "big")):
        for port in (runner.addresses[0][1], second.sockets[0].getsockname()[1]):
            await close(port, payload)
            name, code = await told.get()
            seen.setdefault(name, []).append(int(code))
        for port in ports:
            await close(port, payload)
            name, code = json.loads(await node.stdout.readline())
            seen.setdefault(name, []).append(code)
    node.kill()
    for name, codes in seen.items():
        print(name, "expected: 1005 1000 4000; seen:", *codes)
    assert seen == {
        "aiohttp": [0, 1000, 4000], "websockets": [1005, 1000, 4000],
        "ws": [1005, 1000, 4000], "faye-websocket": [1000, 1000, 4000], "websocket": [1006, 1000, 4000],
    }, seen


print("aiohttp", version("aiohttp"), "websockets", version("websockets"))
asyncio.run(asyncio.wait_for(main(), 40))
E
