"""Calls that VoIPBIN's webhooks tell of, with a real server, and the twin of VoIPBIN's API and media streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.server.flows.webhooks import PlatformWebhooks
from mediaserver.wire.voipbin.webhooks import SIGNATURE_HEADER, sign_body
from tests.client.attached import desk
from tests.faults.beside import scrape
from tests.server.flows.test_flows import free_ports
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import eventually
from tests.twin import Twin

SECRET, TOKEN = "wh00k", "t0ken"
GREETING = speechlike(160 * 25)
CONFIG = """
[voipbin]
api = "API"
token = "t0ken"
[flows]
host = "127.0.0.1"
port = PORT
webhook_secret = "wh00k"
[paths."/greet"]
handler = "playback"
prompt = "greeting"
[paths."/limited"]
handler = "silence"
max_streams = 1
[paths."/said"]
handler = "say"
text = "You call from {source:number}."
[speech]
engine = "command"
[speech.command]
program = ["true"]
[[attach]]
on = "call_progressing"
destination = "+1555*"
path = "/greet"
[[attach]]
source = "+4930999"
path = "/limited"
[[attach]]
destination = "+4930*"
path = "/said"
"""


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    async with Twin(token=TOKEN) as twin:
        yield twin


@pytest.fixture
def server(twin: Twin, tmp_path: Path) -> Any:
    write_wav(tmp_path / "prompts/greeting.wav", GREETING)
    text = CONFIG.replace("API", twin.api).replace("PORT", str(free_ports(1)))
    with serving(write_config(tmp_path, text)) as server:
        yield server


async def tell(server: ServerProcess, kind: str, call: str, secret: str = SECRET, **data: Any) -> tuple[int, str]:
    """Send a webhook as VoIPBIN does; the status and the text of the answer."""
    return await send(server, body_of(kind, call, **data), secret)


def body_of(kind: str, call: str, **data: Any) -> bytes:
    """The body of a webhook about a call."""
    told = {
        "id": call,
        "source": {"type": "tel", "target": "+4917012345"},
        "destination": {"type": "tel", "target": "+15551234567"},
        "status": kind.removeprefix("call_"),
        "direction": "incoming",
    } | data
    return json.dumps({"type": kind, "data": told}).encode()


async def send(server: ServerProcess, body: bytes, secret: str = SECRET, method: str = "POST") -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.events('listening')[0]['flows']}/webhook"
    headers = {SIGNATURE_HEADER: sign_body(body, secret), "Content-Type": "application/json"}
    async with client_session() as client, client.request(method, url, data=body, headers=headers) as response:
        return response.status, await response.text()


async def results(server: ServerProcess) -> dict[str, float]:
    """The counts that are not 0, by what became of webhooks."""
    prefix, values = 'mediaserver_platform_webhooks_total{result="', await scrape(server)
    counts = {name.removeprefix(prefix)[:-2]: value for name, value in values.items() if name.startswith(prefix)}
    assert len(counts) == 6
    return {name: value for name, value in counts.items() if value}


async def streams(server: ServerProcess, call: str) -> list[dict[str, Any]]:
    async with client_session() as client, client.get(server.admin_url(f"/v1/streams?call={call}")) as response:
        found: list[dict[str, Any]] = (await response.json())["streams"]
        return found


async def test_a_call_that_is_answered_is_greeted_once_and_its_end_ends_the_stream(
    server: ServerProcess, twin: Twin
) -> None:
    call = twin.call()
    assert await tell(server, "call_ringing", call.id) == (200, "")
    assert await tell(server, "call_progressing", call.id) == (200, "")
    stream = await call.stream()
    for _ in range(2):  # VoIPBIN tries three times where it misses an answer
        assert await tell(server, "call_progressing", call.id) == (200, "")
    await eventually(lambda: to_bytes(GREETING) in bytes(stream.heard))
    assert await tell(server, "call_hangup", call.id) == (200, "")
    await stream.over()
    ended = await asyncio.to_thread(server.wait_for_event, "stream ended")
    assert (ended["reason"], ended["path"]) == ("peer-hung-up", "/greet")
    assert len(twin.requests) == 1
    assert await results(server) == {"attached": 1, "ended": 1, "ignored": 1, "repeated": 2}
    (line,) = server.events("attaching")
    assert (line["call"], line["path"], line["rule"]) == (call.id, "/greet", "attach[0]")
    assert not server.events("attach failed")


async def test_a_call_that_no_rule_is_for_or_that_is_over_has_no_stream(server: ServerProcess, twin: Twin) -> None:
    other, over = twin.call(), twin.call()
    assert await tell(server, "call_progressing", other.id, destination={"target": "+4420"}) == (200, "")
    assert await tell(server, "call_progressing", other.id, direction="outgoing") == (200, "")  # the same call
    assert await tell(server, "call_hangup", over.id) == (200, "")
    assert await tell(server, "call_progressing", over.id) == (200, "")  # it has come late
    assert await results(server) == {"ignored": 3, "repeated": 1}
    assert await streams(server, other.id) == await streams(server, over.id) == []


async def test_the_variables_of_the_call_are_the_stream_s_and_the_event_counts_again_much_later(
    tmp_path: Path, twin: Twin
) -> None:
    now = 0.0
    call = twin.call()
    given = body_of("call_progressing", call.id, source={"target": "+4930999"}, destination={"target": "100"})
    rules = '[flows]\nwebhook_secret = "wh00k"\n[paths."/a"]\nhandler = "silence"\n[[attach]]\npath = "/a?b=c"\n'
    async with desk(tmp_path, twin, rules) as ours:
        webhooks = PlatformWebhooks(ours.engine, ours.attacher, lambda: now)
        for now in (0.0, 0.1, 599.9, 600.0):  # noqa: B007 - the clock
            await webhooks.take(given, sign_body(given, SECRET))
        first, second = ours.engine.streams.of_call(call.id)
        assert first.stream.variables == {"b": "c", "source": "+4930999", "destination": "100"}
        assert first.stream.resource == second.stream.resource == f"calls/{call.id}"
        assert webhooks.results == {**dict.fromkeys(webhooks.results, 0), "attached": 2, "repeated": 2}


async def test_where_there_is_no_room_voipbin_is_to_try_again(server: ServerProcess, twin: Twin) -> None:
    first, second = twin.call(), twin.call()
    caller = {"target": "+4930999"}
    assert await tell(server, "call_progressing", first.id, source=caller, destination=None) == (200, "")
    refused = await tell(server, "call_progressing", second.id, source=caller, destination=None)
    assert refused == (503, "not attached: try again later\n")
    await tell(server, "call_hangup", first.id)
    await asyncio.to_thread(server.wait_for_event, "stream ended")
    assert await tell(server, "call_progressing", second.id, source=caller, destination=None) == (200, "")
    await second.stream()
    assert await results(server) == {"attached": 2, "ended": 1, "failed": 1}


async def test_a_failure_is_logged_and_not_told(server: ServerProcess, twin: Twin) -> None:
    gone, anonymous = twin.call(answered=False), twin.call()
    assert await tell(server, "call_progressing", gone.id) == (200, "")
    line = await asyncio.to_thread(server.wait_for_event, "attach failed")
    assert f"calls/{gone.id}: refused with 404: " in line["why"]
    names: dict[str, Any] = {"source": {"target": "anonymous"}, "destination": {"target": "+4930"}}
    assert await tell(server, "call_progressing", anonymous.id, **names) == (200, "")
    (failed,) = server.events("attach refused")
    assert (failed["call"], failed["path"], failed["rule"]) == (anonymous.id, "/said", "attach[2]")
    assert "source" in failed["why"]
    assert await results(server) == {"attached": 1, "failed": 1}
    log = server.log_file.read_text()
    assert SECRET not in log
    assert TOKEN not in log


async def test_what_voipbin_has_not_signed_does_nothing(server: ServerProcess, twin: Twin) -> None:
    call = twin.call()
    unsigned = (403, "the signature does not fit the body\n")
    assert await tell(server, "call_progressing", call.id, secret="guessed") == unsigned
    assert await send(server, b"{}", secret="") == unsigned
    assert await send(server, b"{", method="PUT") == (405, "a webhook is sent by POST\n")
    assert await send(server, b"{") == (400, "body: is not JSON\n")
    assert await send(server, b'{"type": "call_hangup"}') == (400, "body: data.id should be the id of a call\n")
    assert await send(server, b" " * 300_000) == (400, "body: is larger than 262144 bytes\n")
    assert await send(server, json.dumps({"type": "message_created", "data": "x" * 200_000}).encode()) == (200, "")
    assert await results(server) == {"refused": 4, "ignored": 1}
    assert twin.requests == []
