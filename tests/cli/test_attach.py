"""`mediaserver attach`, as a process, and `/v1/attach` of a server."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.server.preloaded import MEDIASERVER, popen
from tests.server.process import ServerProcess, get, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually
from tests.twin import Twin

SPEECH = speechlike(8000)
PATHS = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
[paths."/silence"]
handler = "silence"
[paths."/position/{position}"]
handler = "say"
engine = "command"
text = "{position:ordinal} {amount:currency:EUR} {name}"
[speech.command]
program = ["true"]
"""


@pytest.fixture
def config(tmp_path: Path, twin: Twin) -> Path:
    write_wav(tmp_path / "prompts/speech.wav", SPEECH)
    (tmp_path / "token").write_text("t0ken\n")
    return write_config(
        tmp_path, f'[voipbin]\napi = "{twin.api}"\ntoken = "file:{tmp_path}/token"\n{PATHS}', drain_timeout=3600
    )


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [*MEDIASERVER, "attach", *arguments]
    return popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment)


async def result(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    return process.returncode, out + err


async def test_it_plays_to_the_call_and_ends_well(config: Path, twin: Twin) -> None:
    call = twin.call()
    process = run("call", call.id, "--path", "/play/speech", "--config", str(config))
    stream = await call.stream()
    code, said = await result(process)
    assert code == 0
    played = SPEECH.astype("<i2").tobytes() + bytes(10 * 320)
    assert stream.heard.endswith(played)
    assert not any(stream.heard[: -len(played)])  # silence until the call was heard
    assert stream.peer_code == 1000
    assert "t0ken" not in said


async def test_the_end_of_a_conference_is_its_end(config: Path, twin: Twin) -> None:
    conference = twin.conference()
    process = run(
        "conference", conference.id, "--path", "/silence", "--config", str(config), "--encapsulation", "rtp"
    )
    stream = await conference.stream()
    await eventually(lambda: stream.heard_at)
    conference.hang_up()
    code, _ = await result(process)
    assert code == 0
    assert twin.requests[0].encapsulation == "rtp"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_hangs_up(config: Path, twin: Twin, number: int) -> None:
    call = twin.call()
    process = run("call", call.id, "--path", "/silence", "--config", str(config))
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)
    process.send_signal(number)
    assert (await result(process))[0] == 0
    assert stream.peer_code == 1000


async def test_what_is_refused_ends_with_1_and_says_why(config: Path, twin: Twin, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wr0ng")
    call = twin.call()
    code, said = await result(run("call", call.id, "--path", "/silence", "--config", str(config)))
    assert code == 1
    assert said.splitlines()[-1] == (
        f"calls/{call.id}: refused with 401: the token is not accepted: check that voipbin.token is valid and not "
        "expired (no media stream: 401)"
    )
    assert "wr0ng" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["call", "1", "--path", "/nothing"], 1, "config.toml: no path /nothing\n"),
        (["call", "1", "--path", "/play/speach"], 1, 'no prompt "speach" (did you mean "speech"?)'),
        (["call", "../1", "--path", "/silence"], 1, "attach: resource: should be calls/<id> or conferences/<id>"),
        (["call", "1", "--path", "silence"], 1, "attach: path: should be a path of the configuration"),
        (["call", "1", "--path", "/silence", "--variable", "x"], 2, "x should be NAME=VALUE"),
        (["phone", "1", "--path", "/silence"], 2, "phone"),
        (
            ["call", "1", "--path", "/position/3"],
            1,
            "no value for {amount}, {name}: give --variable amount=… --variable name=…\n",
        ),
    ],
)
async def test_what_cannot_be_asked_for(
    config: Path, twin: Twin, arguments: list[str], code: int, why: str
) -> None:
    found, said = await result(run(*arguments, "--config", str(config), COLUMNS="200"))
    assert found == code
    assert why in said
    assert twin.requests == []


async def test_a_server_asks_for_values_as_they_are_given_to_it(config: Path, twin: Twin) -> None:
    with serving(config) as server:
        body = {"resource": "calls/1", "path": "/position/3", "variables": {"amount": "5"}}
        async with (
            aiohttp.ClientSession() as client,
            client.post(server.admin_url("/v1/attach"), json=body) as answer,
        ):
            assert answer.status == 400
            assert await answer.json() == {"error": 'no value for {name}: give "variables": {"name": "…"}'}
    assert twin.requests == []


async def test_a_platform_that_is_not_there(config: Path, tmp_path: Path) -> None:
    code, said = await result(
        run(
            "call",
            "1",
            "--path",
            "/silence",
            "--config",
            str(config),
            MEDIASERVER_VOIPBIN__API="http://127.0.0.1:9",
            MEDIASERVER_VOIPBIN__RECONNECT_TIMEOUT="1",
        )
    )
    assert code == 1
    assert said.splitlines()[-1] == (
        "calls/1: cannot connect: Connection refused: check voipbin.api, and that the firewall lets WebSockets out"
    )


async def test_a_token_that_is_not_there_is_a_wrong_configuration(config: Path, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    code, said = await result(run("call", "1", "--path", "/silence", "--config", str(config)))
    assert code == 2
    assert f"{config}: voipbin.token: {tmp_path}/token cannot be read: No such file or directory" in said


# -- the admin port --------------------------------------------------------------------------------


async def ask(server: ServerProcess, method: str, path: str, body: object = None) -> tuple[int, dict]:
    url = server.admin_url(path)
    async with aiohttp.ClientSession() as client, client.request(method, url, json=body) as answer:
        return answer.status, await answer.json() if answer.status != 204 else {}


async def test_streams_are_attached_listed_and_hung_up(config: Path, twin: Twin) -> None:
    calls = [twin.call() for _ in range(3)]
    with serving(config) as server:
        for call in calls:
            body = {"resource": f"calls/{call.id}", "path": "/silence"}
            status, told = await ask(server, "POST", "/v1/attach", body)
            assert status == 202
        streams = [await call.stream() for call in calls]
        await eventually(lambda: all(stream.heard_at for stream in streams))
        _, listed = await ask(server, "GET", "/v1/streams")
        assert {(each["direction"], each["resource"]) for each in listed["streams"]} == {
            ("out", f"calls/{call.id}") for call in calls
        }
        assert listed["streams"][2]["id"] == told["id"]
        assert (await ask(server, "DELETE", f"/v1/streams/{told['id']}"))[0] == 204
        await streams[2].over()
        assert streams[2].peer_code == 1000
        status, told = await ask(server, "DELETE", "/v1/streams/nothing")
        assert (status, told) == (404, {"error": "no stream nothing"})
        await eventually(lambda: len(server.events("stream ended")) == 1)
        assert server.events("stream ended")[0]["reason"] == "hung-up"
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait_for_event, "draining")
        for call in calls[:2]:
            call.hang_up()
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0


async def test_a_stream_can_be_hung_up_while_its_platform_is_away(config: Path, twin: Twin) -> None:
    call = twin.call()
    call.faults.refuse = [503] * 1000
    with serving(config) as server:
        _, told = await ask(server, "POST", "/v1/attach", {"resource": f"calls/{call.id}", "path": "/silence"})
        await eventually(lambda: len(twin.requests) > 1)
        assert (await ask(server, "DELETE", f"/v1/streams/{told['id']}"))[0] == 204
        await eventually(lambda: server.events("stream ended"))
        assert (await ask(server, "GET", "/v1/streams"))[1] == {"streams": [], "total": 0}


async def test_a_shutdown_does_not_wait_for_what_was_never_reached(config: Path, twin: Twin) -> None:
    call = twin.call()
    call.faults.refuse = [503] * 1000
    with serving(config) as server:
        await ask(server, "POST", "/v1/attach", {"resource": f"calls/{call.id}", "path": "/silence"})
        await eventually(lambda: len(twin.requests) > 1)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0  # and not an hour
        assert server.events("stream ended")[0]["reason"] == "drained"


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"path": "/silence"}, 400, "body: resource is missing"),
        (
            {"resource": "phones/1", "path": "/silence"},
            400,
            "body: resource: should be calls/<id> or conferences/<id> (it is",
        ),
        (
            {"resource": "calls/../1", "path": "/silence"},
            400,
            "body: resource: should be calls/<id> or conferences/<id> (it is",
        ),
        (
            {"resource": "calls/1", "path": "/silence", "pth": 1},
            400,
            'body: pth: unknown setting (did you mean "path"?)',
        ),
        ({"resource": "calls/1", "path": "/nothing"}, 404, "no path /nothing"),
        ({"resource": "calls/1", "path": "/play/nothing"}, 404, 'no prompt "nothing"'),
        ({"resource": "calls/1", "path": "/play/speech?repeat=x"}, 400, "repeat"),
        ({"resource": "calls/1", "path": "/silence?framing=x"}, 400, 'framing="x" is none of'),
        ([1], 400, "body: "),
    ],
)
async def test_what_cannot_be_attached(config: Path, twin: Twin, body: object, status: int, why: str) -> None:
    with serving(config) as server:
        found, told = await ask(server, "POST", "/v1/attach", body)
    assert found == status
    assert why in told["error"]
    assert "\n" not in told["error"]
    assert twin.requests == []


async def test_metrics_have_the_dialled_streams(config: Path, twin: Twin) -> None:
    call = twin.call()
    with serving(config) as server:
        await ask(server, "POST", "/v1/attach", {"resource": f"calls/{call.id}", "path": "/silence"})
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) > 10)
        stream.cut()
        again = await call.stream()
        await eventually(lambda: again.heard_at)
        call.hang_up()
        await eventually(lambda: server.events("stream ended"))
        _, metrics = await get(server.admin_url("/metrics"))
    assert "mediaserver_reconnects_total 1.0" in metrics
    assert 'mediaserver_sessions_ended_total{path="/silence",reason="peer-closed"} 1.0' in metrics


async def test_pages_of_other_sites_cannot_attach(config: Path, twin: Twin) -> None:
    call = twin.call()
    body = {"resource": f"calls/{call.id}", "path": "/silence"}
    with serving(config) as server:
        headers = {"Origin": "https://elsewhere.example.com"}
        url = server.admin_url("/v1/attach")
        async with aiohttp.ClientSession() as client, client.post(url, json=body, headers=headers) as answer:
            assert answer.status == 403
    assert twin.requests == []
