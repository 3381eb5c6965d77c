#!/usr/bin/env bash
# WebSocketApp of websocket-client has on_close, called when the connection is closed, with the code and the reason that
# the server gave, and on_error, "called when we get error". One expects a server that closes with 1000, "normal", to be
# told of by on_close alone, with its code and reason, as in 1.8.0.
# Since 1.9 on_error is called as well, for each Close of the server: in 1.9.2 with WebSocketConnectionClosedException
# ("Connection closed normally (code 1000)"), in 1.9.0 with a frame, which is no exception, and on_close then has None for
# the code, and run_forever returns True, "error". A server that has sent 4000 gets 1000 back from all of them.
# Each call that ends well is an error in the log, and what dials again at an error dials again after it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
cat >"$T/run.py" <<'E'
import queue, threading
from importlib.metadata import version
import websocket
from websockets.sync.server import serve

def handler(connection):
    connection.send("hello")
    connection.close(code, "goodbye")
    back.put(int(connection.close_code))

back = queue.Queue()
server = serve(handler, "127.0.0.1", 0)
threading.Thread(target=server.serve_forever, daemon=True).start()
for code in (1000, 4000):
    seen = []
    app = websocket.WebSocketApp(
        "ws://127.0.0.1:%d" % server.socket.getsockname()[1],
        on_message=lambda app, message: seen.append(message),
        on_error=lambda app, error: seen.append(("error", type(error).__name__)),
        on_close=lambda app, *told: seen.append(("close", *told)),
    )
    seen.append(app.run_forever())
    answer = back.get(timeout=20)
    print("seen:", version("websocket-client"), code, seen, "and the server has", answer)
    assert answer == 1000
    assert seen == {
        "1.8.0": ["hello", ("close", code, "goodbye"), False],
        "1.9.0": ["hello", ("error", "ABNF"), ("close", None, None), True],
        "1.9.2": ["hello", ("error", "WebSocketConnectionClosedException"), ("close", code, "goodbye"), False],
    }[version("websocket-client")]
E
echo "expected: hello, then a close with code and goodbye, then False"
for version in 1.8.0 1.9.0 1.9.2; do
  python3 -m venv "$T/$version"
  "$T/$version/bin/pip" install -qq --disable-pip-version-check websocket-client==$version websockets==17.4
  "$T/$version/bin/python" "$T/run.py"
done
