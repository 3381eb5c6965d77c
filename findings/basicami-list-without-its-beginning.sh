#!/usr/bin/env bash
# Asterisk answers CoreShowChannels, QueueStatus and the like with "Response: Success" and then with one event
# for each item, all with the ActionID of the question, and a last event that counts them. TCP keeps no borders
# of messages: one expects the same events from get_events() whether they come with the response or after it.
# basicami drops each event that it reads together with its response: while the question still counts as open,
# whatever has its ActionID is taken for another response. There is no error and no line in the log. So the list
# lacks its beginning, by as many items as the network put into one piece, or is empty, and who waits for its
# last event waits in vain. A board of queues shows fewer agents, and a busy system fewer calls.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check basicami==0.1.0
"$T/v/bin/python" - <<'E'
import asyncio
from importlib.metadata import version

from basicami import BasicAMI

print("basicami", version("basicami"))
message = lambda *lines: "".join(line + "\r\n" for line in (*lines, "")).encode()

async def call(together):
    """The events of a list whose first so many come in one piece with the response."""
    answered = asyncio.Event()
    async def asterisk(reader, writer):
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        for login in (True, False):
            question = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            identity = next(line for line in question if line.startswith("ActionID:"))
            answer = [message("Response: Success", identity)]
            if not login:
                answer += [message("Event: CoreShowChannel", identity, f"Channel: PJSIP/agent-{n}") for n in "123"]
                answer += [message("Event: CoreShowChannelsComplete", identity, "ListItems: 3")]
            writer.write(b"".join(answer[:1 + together]))
        await answered.wait()
        writer.write(b"".join(answer[1 + together:]))

    async with await asyncio.start_server(asterisk, "127.0.0.1") as server:
        ami = await BasicAMI.connect("127.0.0.1", server.sockets[0].getsockname()[1], "user", "secret")
        assert (await ami.send_action({"Action": "CoreShowChannels"}))["Response"] == "Success"
        answered.set()
        events = await ami.get_events(timeout=1)
        await ami.close()
    return [event.get("Channel", event["Event"])[-8:] for event in events]

for together, seen in ((0, 4), (2, 2), (4, 0)):
    got = asyncio.run(call(together))
    print(f"{together} events with the response: expected 4 events, seen {len(got)}: {' '.join(got)}")
    assert len(got) == seen and got == ["/agent-1", "/agent-2", "/agent-3", "Complete"][together:]
E
