#!/usr/bin/env bash
# A WebSocket handshake is answered with "Connection: Upgrade". The header is a list, and a proxy
# may add "keep-alive" to it. RFC 6455 (4.1) has the client ask whether the list CONTAINS the
# token Upgrade. One expects clients to take "keep-alive, Upgrade", the more since servers have
# to: it is what Firefox sends, and aiohttp's own server takes it.
# aiohttp, Tornado and picows, and on npm faye-websocket and websocket, compare the whole header
# with "upgrade", and refuse. websockets, and ws on npm, take it.
# A peer behind such a proxy can be reached by some clients and not by others at the same address.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ws@8.23.0 faye-websocket@0.11.4 websocket-driver@0.8.0 websocket@1.0.35 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5 tornado==6.6.1 picows==2.3.1 websockets==17.4
cat >"$T/clients.js" <<'E'
const url = process.argv[2], open = { ws: false, 'faye-websocket': false, websocket: false };
new (require('ws'))(url).on('open', () => { open.ws = true; }).on('error', () => {});
new (require('faye-websocket').Client)(url).on('open', () => { open['faye-websocket'] = true; });
const client = new (require('websocket').client)();
client.on('connect', () => { open.websocket = true; }).on('connectFailed', () => {});
client.connect(url);
process.stdin.on('data', () => { console.log(JSON.stringify(open)); process.exit(); });
E
cd "$T"
v/bin/python - <<'E'
import asyncio, base64, hashlib, json, logging
from importlib.metadata import version

import aiohttp, picows, tornado.websocket, websockets

logging.disable()
header, writers, answered = "", [], asyncio.Semaphore(0)


async def answer(reader, writer):
    """Answers a handshake as the RFC says, with the Connection header of the moment."""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(":")[1].strip() for line in request.splitlines() if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: {header}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    writers.append(writer)
    answered.release()


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=0.1)):
        pass


async def with_picows(url):
    (await picows.ws_connect(picows.WSListener, url))[0].disconnect()


async def with_websockets(url):
    async with websockets.connect(url, close_timeout=0.1):
        pass


clients = {"aiohttp": with_aiohttp, "tornado": tornado.websocket.websocket_connect, "picows": with_picows, "websockets": with_websockets}


async def all_clients(url):
    opened = {}
    for name, connect in clients.items():
        try:
            await connect(url)
            opened[name] = True
        except Exception:
            opened[name] = False
        await answered.acquire()
    node = await asyncio.create_subprocess_exec("node", "clients.js", url, stdin=-1, stdout=-1)
    for _ in range(3):
        await answered.acquire()
    await asyncio.sleep(1)
    opened |= json.loads((await node.communicate(b"now"))[0])
    while writers:
        writers.pop().close()
    return opened


async def main():
    global header
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    seen = {}
    for header in ("Upgrade", "keep-alive, Upgrade"):
        seen[header] = await all_clients(url)
    for name in seen[header]:
        print(name, version(name) if name in clients else "", "expected: opened with both; seen:", *(s[name] for s in seen.values()))
    assert all(seen["Upgrade"].values()), seen
    refused = {name for name, opened in seen[header].items() if not opened}
    assert refused == {"aiohttp", "tornado", "picows", "faye-websocket", "websocket"}, seen


asyncio.run(main())
E
