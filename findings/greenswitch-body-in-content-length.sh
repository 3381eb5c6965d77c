#!/usr/bin/env bash
# An event of FreeSWITCH may have a body of its own: headers, a Content-Length, an empty line, and the body. The answer
# to bgapi (BACKGROUND_JOB) comes so, what was recognised (DETECTED_SPEECH), and text messages. One expects a client
# library to give the body beside the headers.
# greenswitch reads the body as more headers. It is in the value of Content-Length ("4\n\n+OK"), up to the first line with
# ": " in it: that line, and those behind it, are headers of the event, and replace real ones of the same name. It
# undoes the escapes before it splits the lines, so that a variable of two lines loses the second in the same way.
# Events without a body are right, and modesl on npm has the body, whole.
# The result of a command is not where one looks for it, and a line in it can change which job it seems to be of.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check greenswitch==0.0.19
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts modesl@1.2.1 >/dev/null
cd "$T"
cat >server.py <<'E'
# What FreeSWITCH sends: a request to log in, its answer, and three events.
import socket
bodies = ["+OK 7f4de4bc-17d7-11dd-b7a0-db4edd065621", "Profile: internal\nJob-UUID: none\n3 calls", ""]
out = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
for body in bodies:
    inner = "Event-Name: BACKGROUND_JOB\nJob-UUID: 42\nvariable_note: first%0Asecond%3A%20line\nLast: x\n"
    inner += f"Content-Length: {len(body)}\n\n{body}" if body else "\n"
    out += f"Content-Length: {len(inner)}\nContent-Type: text/event-plain\n\n{inner}"
listening = socket.create_server(("127.0.0.1", 0))
listening.settimeout(30)
print(listening.getsockname()[1], flush=True)
for _ in range(2):
    peer = listening.accept()[0]
    peer.sendall(b"Content-Type: auth/request\n\n")
    peer.recv(1000)
    peer.sendall(out.encode())
    peer.settimeout(20)
    try:
        while peer.recv(1000):
            pass
    except OSError:
        pass
E
cat >greens.py <<'E'
import json, sys
import gevent, greenswitch
from gevent.event import Event
esl, events, done = greenswitch.InboundESL("127.0.0.1", int(sys.argv[1]), "ClueCon"), [], Event()
def seen(event):
    events.append(dict(event.headers))
    if len(events) == 3:
        done.set()
esl.register_handle("BACKGROUND_JOB", seen)
esl.connect()
done.wait(20)
print(json.dumps(events), flush=True)
import os; os._exit(0)
E
cat >modesl.cjs <<'E'
const { Connection } = require('modesl');
const events = [];
const connection = new Connection('127.0.0.1', +process.argv[2], 'ClueCon');
connection.on('esl::event::BACKGROUND_JOB::*', event => {
  events.push({ uuid: event.getHeader('Job-UUID'), note: event.getHeader('variable_note'), body: event.getBody() });
  if (events.length === 3) { console.log(JSON.stringify(events)); process.exit(0); }
});
E
coproc SERVER { exec "$T/v/bin/python" server.py; }
server=$SERVER_PID
trap 'kill "$server" 2>/dev/null || true; rm -rf "$T"' EXIT
read -r port <&"${SERVER[0]}"
"$T/v/bin/python" greens.py "$port" >greens.json
timeout 20 node modesl.cjs "$port" >modesl.json
wait "$server" || true
"$T/v/bin/python" - <<'E'
import json
from importlib.metadata import version
green, other = json.load(open("greens.json")), json.load(open("modesl.json"))
print("greenswitch", version("greenswitch"), "modesl", json.load(open("node_modules/modesl/package.json"))["version"])
print("expected: Job-UUID 42 in each event, the body whole and beside the headers, the note of two lines")
for event, known in zip(green, other):
    print("seen: greenswitch", event)
    print("seen: modesl", known)
first, second, third = green
assert first["Job-UUID"] == "42" and first["Content-Length"] == "40\n\n+OK 7f4de4bc-17d7-11dd-b7a0-db4edd065621"
assert second["Job-UUID"] == "none\n3 calls" and second["Profile"] == "internal" and second["Content-Length"] == "40"
assert third["Job-UUID"] == "42" and "Content-Length" in third
assert all(e["variable_note"] == "first" and e["second"] == "line" for e in green)
assert [e["uuid"] for e in other] == ["42"] * 3 and all(e["note"] == "first\nsecond: line" for e in other)
assert [e.get("body") or "" for e in other] == ["+OK 7f4de4bc-17d7-11dd-b7a0-db4edd065621", "Profile: internal\nJob-UUID: none\n3 calls", ""]
E
