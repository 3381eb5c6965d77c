"""IVRs by the flow endpoint: real sockets, and a flow engine whose telephone sends keys as RTP events."""

import asyncio
import contextlib
import json
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from mediaserver.audio.pcm import to_bytes
from tests.faults.beside import scrape
from tests.server.flows.flow_engine import FlowEngine
from tests.server.plain_peer import dialled
from tests.server.preloaded import run
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually
from tests.twin import Twin

SECRET = "s3cr/et"
AGENT, QUEUE, CONFERENCE = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3))
MENUS = f"""
[paths."/menu"]
handler = "menu"
flow = true
[paths."/menu".menus.main]
play = "long"
keys.1 = {{ menu = "sales" }}
keys.2 = {{ play = "short", transfer = "queue:{QUEUE}" }}
keys.3 = {{ transfer = "conference:{CONFERENCE}" }}
keys.4 = {{ transfer = "agent:{AGENT}" }}
keys.5 = {{ actions = [{{ type = "talk", option = {{ text = "${{name}}" }} }}, {{ type = "hangup" }}] }}
keys.9 = {{ hangup = true }}
[paths."/menu".menus.sales]
play = "long"
keys.1 = {{ menu = "pin" }}
[paths."/menu".menus.pin]
play = "long"
collect = {{ min = 4, max = 8 }}
then = {{ transfer = "+49 30 123456" }}
[paths."/voicemail"]
handler = "record"
flow = true
flow_full = [{{ type = "talk", option = {{ text = "Sorry" }} }}]
directory = "DIRECTORY"
file = "{{call}}.wav"
finish_on = "#"
then = "hangup"
[paths."/hello/{{name}}"]
handler = "hello:Hello"
name = "{{name}}"
flow = true
[paths."/once"]
handler = "playback"
prompt = "short"
flow = true
linger_ms = 0
[paths."/plain"]
handler = "silence"
"""
HELLO = """
from mediaserver.handlers import Handler

class Hello(Handler):
    name: str

    async def run(self, call):
        collected = await call.collect_digits(3, timeout=30)
        call.transfer(f"tel:+49{self.name}{collected.digits}")
"""
PORTS = 250


def free_ports(count: int) -> int:
    """The first of so many free ports in a row, outside the range from which the system chooses ports."""
    while True:
        first = random.randrange(10_000, 32_768 - count)  # not seeded: other tests look for some as well
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def flows(count: int = PORTS, **settings: object) -> str:
    """A table `[flows]` with so many media ports, which may not have its `port` among them."""
    first = free_ports(count)
    while settings.get("port") in range(first, first + count):
        first = free_ports(count)
    given = {
        "host": "127.0.0.1",
        "port": 0,
        "public_url": "http://127.0.0.1:1/flow",
        "secret": SECRET,
        "media_host": "127.0.0.1",
        "media_ports": f"{first}-{first + count - 1}",
        "source": "+4930999",
        "dial_timeout": 4 * UNIT,  # ample where the machine is busy
    } | settings
    return "[flows]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("flows")
    (directory / "hello.py").write_text(HELLO)
    port = free_ports(1)
    own = flows(port=port, public_url=f"http://127.0.0.1:{port}/flow")
    config = write_config(directory, own + MENUS.replace("DIRECTORY", str(directory / "voicemail")))
    write_wav(directory / "prompts/long.wav", speechlike(160 * 500, 7))
    write_wav(directory / "prompts/short.wav", speechlike(160 * 20, 8))
    with serving(config, PYTHONPATH=str(directory)) as server:
        server.flow = f"http://127.0.0.1:{port}/flow/s3cr%2Fet"  # type: ignore[attr-defined]
        server.directory = directory  # type: ignore[attr-defined]
        yield server


def url(server: ServerProcess, path: str) -> str:
    return f"{server.flow}{path}"  # type: ignore[attr-defined]


async def nothing_is_left(server: ServerProcess) -> None:
    """No port is leased any more, and no stream runs."""

    async def looked() -> bool:
        values = await scrape(server)
        sessions = sum(value for name, value in values.items() if name.startswith("mediaserver_sessions{"))
        return values["mediaserver_flow_ports_leased"] == sessions == 0

    while not await looked():
        await asyncio.sleep(0.02)


async def test_three_menus_deep_by_keys_alone_and_a_transfer(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as call:
        await call.is_receiving()
        for keys in ("1", "1", "47", "11#"):
            call.press(keys)
            await asyncio.sleep(0.3)
        await call.is_over()
    assert call.types == ["connect"]
    assert call.executed[-1]["option"] == {
        "source": {"type": "tel", "target": "+4930999"},
        "destinations": [{"type": "tel", "target": "+4930123456"}],
    }
    await nothing_is_left(server)


async def test_a_key_stops_a_prompt(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as call:
        await call.is_receiving()
        media = call.media
        assert media is not None
        await eventually(lambda: any(media.heard[-3200:]))
        call.press("2")
        await call.is_over()
    assert to_bytes(speechlike(160 * 20, 8)) in media.heard
    assert not any(media.heard[-3200:])  # 200 ms of silence, so that nothing is clipped
    assert to_bytes(speechlike(160 * 500, 7))[: len(media.heard)] not in media.heard
    assert call.executed[-1] | {"id": ""} == {"id": "", "type": "queue_join", "option": {"queue_id": QUEUE}}


@pytest.mark.parametrize(
    ("key", "actions"),
    [
        ("3", [{"type": "conference_join", "option": {"conference_id": CONFERENCE}}]),
        (
            "4",
            [
                {
                    "type": "connect",
                    "option": {
                        "source": {"type": "tel", "target": "+4930999"},
                        "destinations": [{"type": "agent", "target": AGENT}],
                    },
                }
            ],
        ),
        ("5", [{"type": "talk", "option": {"text": "${name}"}}, {"type": "hangup"}]),
        ("9", [{"type": "hangup"}]),
    ],
)
async def test_where_a_key_leads(server: ServerProcess, key: str, actions: list[dict]) -> None:
    async with FlowEngine(url(server, "/menu")) as call:
        await call.is_receiving()
        call.press(key)
        await call.is_over()
    found = [{name: value for name, value in action.items() if name != "id"} for action in call.executed]
    assert found[-len(actions) :] == actions
    assert len(call.answers) == 2  # the answer that has the key is the one that leads on
    await nothing_is_left(server)


async def test_digits_that_come_faster_than_rounds_are_all_there(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/hello/30")) as call:
        await call.is_receiving()
        call.press("123")
        await call.is_over()
    assert call.executed[-1]["option"]["destinations"] == [{"type": "tel", "target": "+4930123"}]


async def test_what_follows_the_fetch_comes_when_the_handler_is_done(server: ServerProcess) -> None:
    behind = {"id": "b", "type": "talk", "option": {"text": "Bye"}}
    async with FlowEngine(url(server, "/once"), (behind,)) as call:
        await call.is_over()
    assert call.executed[-2]["type"] == "variable_set"
    assert call.executed[-1] == behind
    await nothing_is_left(server)


async def test_voicemail_ends_with_a_key(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/voicemail")) as call:
        await call.is_receiving()
        assert call.media is not None
        media = call.media
        media.say(to_bytes(speechlike(160 * 30, 9)))
        await eventually(lambda: not media.speaking)
        call.press("#")
        await call.is_over()
        assert call.hung_up == "hangup"
    (file,) = (server.directory / "voicemail").iterdir()  # type: ignore[attr-defined]
    assert file.name == f"{call.reference}.wav"
    assert len(read_wav(file)) >= 160 * 30
    await nothing_is_left(server)


async def test_two_hundred_calls_in_a_second(server: ServerProcess) -> None:
    """Each is answered and has its own call: none is lost, and none is another's."""
    calls = [FlowEngine(url(server, f"/hello/{n}")) for n in range(100, 300)]

    async def visit(call: FlowEngine, at: float) -> None:
        await asyncio.sleep(at)
        async with call:
            await call.is_receiving()
            call.press(call.reference.translate(str.maketrans("abcdef", "123456"))[:3])
            await call.is_over()

    await asyncio.gather(*(visit(call, n / len(calls)) for n, call in enumerate(calls)))
    for n, call in enumerate(calls, 100):
        assert call.hung_up == "the test is over"
        digits = call.reference.translate(str.maketrans("abcdef", "123456"))[:3]
        assert call.executed[-1]["option"]["destinations"] == [{"type": "tel", "target": f"+49{n}{digits}"}]
    await nothing_is_left(server)


# -- faults ------------------------------------------------------------------------------------------


async def test_a_repeated_and_a_late_fetch_change_nothing(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as call:
        await call.is_receiving()
        first, answer = call.answers[0]
        assert await call.post(first) == (200, answer)
        call.press("1")
        await eventually(lambda: len(call.answers) == 2)
        second, latest = call.answers[1]
        for repeated in (second, first):
            assert await call.post(repeated) == (200, latest)
        call.press("1")
        call.press("4711#")
        await call.is_over()
        assert await call.post(call.answers[-1][0]) == (200, call.answers[-1][1])
    assert call.types == ["connect"]
    await nothing_is_left(server)


async def test_nobody_steers_another_call(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as call, FlowEngine(url(server, "/menu")) as other:
        await call.is_receiving()
        await other.is_receiving()
        asked = call.answers[0][1][-1]["option"]["event_url"].replace("${voipbin.call.digits}", "1")
        assert await call.post(asked, reference_id=other.reference) == (400, None)
        status, answer = await other.post(asked)
        assert status == 200
        assert [action["type"] for action in answer] == ["digits_receive", "fetch"]  # the key is the other's own
        call.press("3")
        await call.is_over()
    assert call.types == ["conference_join"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/flow/wrong/menu", "{}", 404, "not found\n"),
        ("POST", "/flow/wrong/nowhere", "{}", 404, "not found\n"),
        ("GET", "/flow/wrong/menu", "", 404, "not found\n"),
        ("POST", "/", "{}", 404, "not found\n"),
        ("POST", "/other/s3cr%2Fet/menu", "{}", 404, "not found\n"),
        ("GET", "/flow/s3cr%2Fet/menu", "", 405, "a fetch is sent by POST: set event_method to POST\n"),
        ("POST", "/flow/s3cr%2Fet/menu", "digits=1", 400, "body: Invalid JSON"),
        (
            "POST",
            "/flow/s3cr%2Fet/menu",
            "{}",
            400,
            "body: activeflow_id is missing; body: reference_id is missing\n",
        ),
        ("POST", "/flow/s3cr%2Fet/menu", " " * 20_000, 400, "body: is larger than 16384 bytes\n"),
        ("POST", "/flow/s3cr%2Fet/menu?flow_round=x", "IDS", 400, "flow_round: should be a number\n"),
        ("POST", "/flow/s3cr%2Fet/nowhere", "IDS", 404, "no path /nowhere"),
        ("POST", "/flow/s3cr%2Fet/plain", "IDS", 404, "/plain takes no flows: set flow = true\n"),
    ],
)
async def test_requests_that_are_no_fetch(
    server: ServerProcess, method: str, path: str, body: str, status: int, text: str
) -> None:
    ids = json.dumps({"activeflow_id": AGENT, "reference_id": QUEUE})
    origin = url(server, "").partition("/flow")[0]
    async with (
        client_session() as client,
        client.request(method, URL(origin + path, encoded=True), data=body.replace("IDS", ids)) as response,
    ):
        found = await response.text()
        assert (response.status, found.startswith(text), found.count("\n")) == (status, True, 1), found
    assert "s3cr" not in server.log_file.read_text()


async def test_a_call_that_hangs_up_in_any_state_leaves_nothing(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as early:
        await eventually(lambda: early.answers)
        await early.hang_up("early")
    async with FlowEngine(url(server, "/menu")) as amid:
        await amid.is_receiving()
        await amid.hang_up("amid a prompt")
    async with FlowEngine(url(server, "/voicemail")) as recording:
        await recording.is_receiving()
        await recording.hang_up("amid a recording")
    async with FlowEngine(url(server, "/menu")) as late:
        await late.is_receiving()
        late.press("2")
        await late.hang_up("while it is led on")
    await nothing_is_left(server)


async def test_a_stranger_on_a_media_port_is_refused(server: ServerProcess) -> None:
    async with FlowEngine(url(server, "/menu")) as call:
        await call.is_receiving()
        host = call.answers[0][1][1]["option"]["external_host"]
        port = int(host.partition(":")[2])
        for number in (port, port + 1):  # one has its stream already, and the other is leased to nobody
            async with dialled(number) as peer:
                assert await peer.to_the_end() == b"\x00\x00\x00"
        call.press("9")
        await call.is_over()
        assert call.hung_up == "hangup"


# -- limits, and the end of the server -------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with a single media port."""
    (tmp_path / "broken.py").write_text(BROKEN)
    port = free_ports(1)
    own = flows(1, port=port, public_url=f"http://127.0.0.1:{port}/flow", poll=0.5)
    with serving(write_config(tmp_path, own + SMALL), PYTHONPATH=str(tmp_path)) as server:
        server.flow = f"http://127.0.0.1:{port}/flow/s3cr%2Fet"  # type: ignore[attr-defined]
        yield server


BROKEN = """
from mediaserver.handlers import Handler

class Broken(Handler):
    async def run(self, call):
        await call.collect_digits(1, timeout=60)
        raise LookupError("ours")
"""
SMALL = """
[paths."/silence"]
handler = "silence"
flow = true
[paths."/broken"]
handler = "broken:Broken"
flow = true
flow_full = [{ type = "talk", option = { text = "Sorry" } }]
[paths."/limited"]
handler = "silence"
flow = true
flow_full = []
max_streams = 1
"""


async def test_a_call_for_which_there_is_no_port(small: ServerProcess) -> None:
    behind = {"id": "b", "type": "sleep", "option": {"duration": 1}}
    async with FlowEngine(url(small, "/silence")) as call:
        await call.is_receiving()
        for path, types in (("/silence", ["hangup"]), ("/broken", ["talk", "sleep"]), ("/limited", ["sleep"])):
            async with FlowEngine(url(small, path), (behind,)) as other:
                await other.is_over()
                assert other.types == types
    await nothing_is_left(small)
    async with FlowEngine(url(small, "/silence")) as call:
        await call.is_receiving()
    values = await scrape(small)
    assert values['mediaserver_events_total{type="flow.failed"}'] == 3
    lines = [(line["reason"], line["path"]) for line in small.events("flow failed")]
    assert lines == [("no-port", "/silence"), ("no-port", "/broken"), ("no-port", "/limited")]


async def test_a_port_that_asterisk_does_not_dial(small: ServerProcess) -> None:
    async with FlowEngine(url(small, "/broken")) as call:
        call.dials = False
        await call.is_over()
        assert call.types == ["talk"]
    (line,) = small.events("flow failed")
    assert line["reason"] == "not-dialled"
    await nothing_is_left(small)


async def test_where_a_handler_fails_the_flow_goes_on(small: ServerProcess) -> None:
    behind = {"id": "b", "type": "talk", "option": {"text": "Sorry"}}
    async with FlowEngine(url(small, "/broken"), (behind,)) as call:
        await call.is_receiving()
        call.press("1")
        await call.is_over()
    assert call.executed[-1] == behind
    assert small.events("handler failed")


async def test_calls_go_on_while_the_server_drains_and_new_ones_do_not_begin(small: ServerProcess) -> None:
    behind = {"id": "b", "type": "talk", "option": {"text": "Sorry"}}
    async with FlowEngine(url(small, "/broken"), (behind,)) as call:
        await call.is_receiving()
        small.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(small.wait_for_event, "draining")
        async with FlowEngine(url(small, "/limited"), (behind,)) as other:
            await other.is_over()
            assert other.types == ["talk"]
        call.press("1")
        await call.is_over()
        assert call.types == ["talk"]
    assert await asyncio.to_thread(small.process.wait, PATIENCE) == 0


async def test_with_a_token_a_call_is_hung_up_without_waiting_for_its_flow(tmp_path: Path) -> None:
    async with Twin(token="t0ken") as twin:
        port = free_ports(1)
        own = flows(1, port=port, public_url=f"http://127.0.0.1:{port}/flow", poll=30, max_poll=60)
        path = '[paths."/tone"]\nhandler = "tone"\ntone = "!440/100"\nthen = "hangup"\nflow = true\n'
        voipbin = f'[voipbin]\napi = "{twin.api}"\ntoken = "t0ken"\n'
        with serving(write_config(tmp_path, own + path + voipbin)) as server:
            async with FlowEngine(f"http://127.0.0.1:{port}/flow/s3cr%2Fet/tone") as call:
                twin.call(call.reference)
                await eventually(lambda: twin.posted)
                assert twin.posted == [(f"/v1.0/calls/{call.reference}/hangup", None)]
                assert call.types == []
            await nothing_is_left(server)


def test_ports_that_are_taken_stop_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, flows(1, port=port) + SMALL)
        (tmp_path / "broken.py").write_text(BROKEN)
        done = run("serve", "--config", config, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert f"flows.port: cannot listen on 127.0.0.1:{port}: " in done.stderr
