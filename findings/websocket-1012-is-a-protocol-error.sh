#!/usr/bin/env bash
# A server that restarts closes with 1012, one that is full with 1013, a gateway whose backend is
# gone with 1014: IANA's registry has these beside RFC 6455's codes. One expects a
# client to hand the code on, so that it dials again, now, later or elsewhere.
# faye-websocket (websocket-driver) knows the RFC's codes and those from 3000 on: it tells its
# user 1002, protocol error, and answers so. ws4py calls all three invalid, and tells of 1005.
# wsproto passes 1012 and 1013 on and takes 1014 for a protocol error. ws, on npm, passes them all on.
# Code that gives up at 1002, since it means a bug, gives up at each restart of the server.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ws@8.23.0 faye-websocket@0.11.4 websocket-driver@0.8.0 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check wsproto==1.3.2 ws4py==0.6.0
cd "$T"
node - <<'E'
const assert = require('assert'), WebSocket = require('ws'), Faye = require('faye-websocket').Client;
for (const name of ['ws', 'faye-websocket', 'websocket-driver']) console.log(name, require(`./node_modules/${name}/package.json`).version);
const codes = [1001, 1012, 1013, 1014, 4000], seen = { ws: [], faye: [], answers: [] };
let answered;
const server = new WebSocket.Server({ port: 0, host: '127.0.0.1' }).on('connection', (socket, request) => {
  if (request.url.startsWith('/faye')) answered = new Promise(done => socket.on('close', done));
  socket.close(Number(request.url.split('/')[2]));
}).on('listening', async () => {
  const url = `ws://127.0.0.1:${server.address().port}`;
  for (const code of codes) {
    seen.ws.push(await new Promise(done => new WebSocket(`${url}/ws/${code}`).on('close', done)));
    seen.faye.push(await new Promise(done => new Faye(`${url}/faye/${code}`).on('close', e => done(e.code))));
    seen.answers.push(await answered);
  }
  console.log('expected:', ...codes, 'seen: ws', ...seen.ws, 'faye-websocket', ...seen.faye, 'and its answers', ...seen.answers);
  assert.deepStrictEqual(seen, { ws: codes, faye: [1001, 1002, 1002, 1002, 4000], answers: [1001, 1002, 1002, 1002, 4000] });
  process.exit();
});
setTimeout(() => { console.error('no answer'); process.exit(1); }, 20000);
E
v/bin/python -W ignore - <<'E'
from importlib.metadata import version

from ws4py.streaming import Stream
from wsproto.connection import Connection, ConnectionType
from wsproto.utilities import RemoteProtocolError

codes = [1001, 1012, 1013, 1014, 4000]
seen = {"wsproto": [], "ws4py": []}
for code in codes:
    frame = b"\x88\x02" + code.to_bytes(2, "big")
    connection = Connection(ConnectionType.CLIENT)
    try:
        connection.receive_data(frame)
        seen["wsproto"] += [event.code for event in connection.events()]
    except RemoteProtocolError as error:
        seen["wsproto"].append(int(error.event_hint.code))
    stream = Stream(expect_masking=False)
    stream.parser.send(frame)
    seen["ws4py"].append(stream.closing.code)
for name, found in seen.items():
    print(name, version(name), "expected:", *codes, "seen:", *found)
assert seen == {"wsproto": [1001, 1012, 1013, 1002, 4000], "ws4py": [1001, 1005, 1005, 1005, 4000]}, seen
E
