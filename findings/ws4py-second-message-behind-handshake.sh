#!/usr/bin/env bash
# A server may send its messages right behind its answer to the WebSocket handshake (RFC 6455, 4.2.2: the connection is
# open), so that TCP brings all of it at once. Media streams begin so, with "connected" and "start". One expects a client
# to give all messages, as ws4py does of those that come later, however TCP cuts them.
# ws4py reads one message from what came with the handshake, and throws the rest away: where "connected" and "start"
# come at once "start" is gone. websockets has both. With a pause before the messages ws4py has both, too.
# A call whose "start" is lost has no id and no codec, now and then, on a fast network only.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check ws4py==0.6.0 websockets==17.4
"$T/v/bin/python" - <<'E'
import base64, hashlib, socket, threading, time
from importlib.metadata import version
import websockets.sync.client
from ws4py.client.threadedclient import WebSocketClient
print(*(f"{name} {version(name)}" for name in ("ws4py", "websockets")))
print("expected: connected, start, later from all")
text = lambda message: bytes([0x81, len(message)]) + message.encode()
listener = socket.create_server(("127.0.0.1", 0))

def serve(pause):
    connection, _ = listener.accept()
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")).split()[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        answer = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        first = text("connected") + text("start")
        if pause:
            connection.sendall(answer)
            time.sleep(0.5)
            connection.sendall(first)
        else:
            connection.sendall(answer + first)
        time.sleep(0.5)
        connection.sendall(text("later") + b"\x88\x02\x03\xe8")
        connection.settimeout(20)
        while connection.recv(4096):
            pass

def with_ws4py(url):
    got = []
    class Client(WebSocketClient):
        def received_message(self, message):
            got.append(str(message))
    client = Client(url)
    client.connect()
    client.run_forever()
    return got

def with_websockets(url):
    with websockets.sync.client.connect(url, compression=None) as client:
        return list(client)

url = "ws://127.0.0.1:%d/" % listener.getsockname()[1]
whole, cut = ["connected", "start", "later"], ["connected", "later"]
for pause in (True, False):
    for name, client, seen in (("ws4py", with_ws4py, whole if pause else cut), ("websockets", with_websockets, whole)):
        thread = threading.Thread(target=serve, args=(pause,))
        thread.start()
        got = client(url)
        thread.join()
        print(f"seen: {'after a pause' if pause else 'at once'}: {name}: {got}")
        assert got == seen
E
