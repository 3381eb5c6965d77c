#!/usr/bin/env bash
# A server counts its connections in its asyncio protocols: one more when the
# factory makes one, or at connection_made, one less at connection_lost. With
# `create_server(ssl=…)` one expects that a peer which goes before its
# handshake, as the TCP health checks of load balancers do every few seconds,
# is told of: by connection_lost, or by never having asked for a protocol.
# Neither asyncio nor uvloop 0.23.0 does: the factory is called for each such
# connection, and of its end no protocol hears, nor does the loop's exception
# handler. Who counts in the factory counts for ever; who counts from
# connection_made on does not see handshakes that are under way at all.
# `loop.start_tls` on a plain connection raises where the handshake fails.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" install -qq --disable-pip-version-check uvloop==0.23.0 trustme==1.2.1
cat >"$T/server.py" <<'PY'
import asyncio
import socket
import ssl

import trustme
import uvloop

told = []


class Counted(asyncio.Protocol):
    def __init__(self):
        told.append("made")

    def connection_made(self, transport):
        told.append("connection_made")

    def connection_lost(self, error):
        told.append("connection_lost")


async def main():
    told.clear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, facts: told.append("exception handler"))
    server = await loop.create_server(Counted, "127.0.0.1", 0, ssl=context, ssl_handshake_timeout=2)
    with socket.create_connection(server.sockets[0].getsockname()):
        while not told:
            await asyncio.sleep(0.01)
    await asyncio.sleep(4)  # beyond the time that a handshake may take
    print(", ".join(told))
    server.close()


asyncio.run(main())
uvloop.run(main())
PY
{ read -r plain; read -r uv; } < <("$T/venv/bin/python" "$T/server.py")
echo "$(python3 --version), uvloop 0.23.0"
echo "expected: made, connection_lost, or nothing at all"
echo "seen, asyncio: $plain"
echo "seen, uvloop: $uv"
[ "$plain" = made ] && [ "$uv" = made ]
