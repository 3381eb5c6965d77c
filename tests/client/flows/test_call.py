"""Flows executed with real sockets: an application that answers `fetch`, and the media of a real server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from mediaserver.client.flows import engine as flow_engine
from mediaserver.client.flows.actions import Action, parse_flow
from mediaserver.client.flows.call import FlowCall, FlowPlan, Observer
from mediaserver.client.flows.report import FlowReport
from tests.server.process import ServerProcess, audiosocket_ports, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import eventually, lengths

SAMPLES = speechlike(160 * 25)
PATHS = """
[paths."/play"]
handler = "playback"
prompt = "a"
linger_ms = 0
[paths."/echo"]
handler = "echo"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    config = write_config(directory, audiosocket_ports("/play", "/echo") + PATHS)
    write_wav(directory / "prompts/a.wav", SAMPLES)
    with serving(config) as server:
        yield server


def action(kind: str, **option: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "type": kind, "option": option}


def media(port: int, **option: Any) -> dict[str, Any]:
    found = {
        "external_host": f"127.0.0.1:{port}",
        "encapsulation": "audiosocket",
        "transport": "tcp",
        "format": "slin",
        "direction_listen": "in",
        "direction_speak": "out",
    }
    return action("external_media_start", **found | option)


def flow(*listed: dict[str, Any]) -> list[Action]:
    return parse_flow(json.dumps(listed))


def round_of(url: str, duration: int = 30_000) -> list[dict[str, Any]]:
    """The three actions that bring a key."""
    return [
        action("variable_set", key="voipbin.call.digits", value=""),
        action("digits_receive", length=1, key="", duration=duration),
        action("fetch", event_url=f"{url}?d=${{voipbin.call.digits}}", event_method="POST"),
    ]


async def simulate_flow(
    plan: FlowPlan, observer: Observer | None = None, hang_up: asyncio.Event | None = None
) -> FlowReport:
    return await FlowCall(plan, observer).run(hang_up)


def faults(report: FlowReport) -> list[str]:
    """A call's problems, without frames that come late, which may be a busy machine's fault."""
    return [problem for problem in report.problems if "frames do not come every 20 ms" not in problem]


Answer = Callable[[str, web.Request], Any]


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    """An application that gives this answer; its URL, and the query and body of each request that came."""
    asked: list[tuple[str, Any]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append((request.query_string, await request.json()))
        found = answer(url, request)
        if asyncio.iscoroutine(found):
            found = await found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    app = web.Application()
    app.router.add_post("/flow/s3cret/menu", serve)
    async with TestServer(app) as running:
        url = str(running.make_url("/flow/s3cret/menu"))
        yield url, asked


def fetch(url: str) -> list[Action]:
    return flow(action("fetch", event_url=url, event_method="POST"))


async def test_a_menu_by_fetch_is_heard_exactly_and_gets_each_key(server: ServerProcess, tmp_path: Path) -> None:
    def answer(url: str, request: web.Request) -> Any:
        digit = request.query.get("d")
        if digit is None:
            return [action("answer"), media(server.ports["/play"]), *round_of(url)]
        return [action("hangup")] if digit == "3" else round_of(url)

    out, seen, keys = tmp_path / "out.wav", [], []
    async with answering(answer) as (url, asked):
        observer = Observer(lambda entry: seen.append(entry.action.type), keys.append)
        report = await simulate_flow(FlowPlan(fetch(url), digits="123", record=out), observer)
    assert faults(report) == []
    assert report.ended == "the flow hung up"
    assert [query for query, _ in asked] == ["", "d=1", "d=2", "d=3"]
    bodies = [body for _, body in asked]
    assert bodies == 4 * bodies[:1]
    assert bodies[0].keys() == {"activeflow_id", "reference_id"}
    rounds = 3 * ["variable_set", "digits_receive", "fetch"]
    assert seen == ["fetch", "answer", "external_media_start", *rounds, "hangup"]
    assert keys == ["1", "2", "3"]
    (heard,) = report.media
    assert heard.report is not None
    assert (heard.report.bad_frames, heard.report.close_code) == (0, 1000)
    assert heard.ended < report.log[-1].at  # the prompt is over before the keys are pressed, and the flow goes on
    assert to_bytes(SAMPLES) in to_bytes(read_wav(out))
    assert "s3cret" not in json.dumps(report.as_dict())


async def test_the_caller_is_heard_in_the_platform_s_default_format(server: ServerProcess, tmp_path: Path) -> None:
    voice, out = write_wav(tmp_path / "in.wav", SAMPLES), tmp_path / "out.wav"
    asked = media(server.ports["/echo"], format="")
    coded = to_bytes(g711.mulaw_decode(g711.mulaw_encode(SAMPLES)))
    known = coded[320 * 8 : 320 * 18]  # the codec is recognised within the first frames
    for seconds in lengths(2.5):
        sleep = action("sleep", duration=60_000)
        plan = FlowPlan(flow(asked, sleep), send=voice, after=0.0, record=out, seconds=seconds)
        report = await simulate_flow(plan)
        assert faults(report) == []
        assert report.ended == "the caller hung up"
        if known in (heard := to_bytes(read_wav(out))):
            break
    assert known in heard


async def test_keys_do_not_reach_the_media(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    listed = flow(media(server.ports["/echo"]), action("digits_receive", length=2, duration=60_000))
    report = await simulate_flow(FlowPlan(listed, digits="12", after=0.3, record=out))
    assert report.ended == "the flow has no more actions"
    assert report.variables["voipbin.call.digits"] == "12"
    assert not read_wav(out).any()


async def test_directions_are_those_of_the_caller(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    listed = flow(
        media(server.ports["/play"], direction_speak=""), action("sleep", duration=2500), action("hangup")
    )
    report = await simulate_flow(FlowPlan(listed, record=out))
    (heard,) = report.media
    assert heard.report is not None
    assert heard.report.frames == 25
    assert not read_wav(out).any()


async def test_the_tutorial_s_websocket_is_dialled_one_way(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    start = action("external_media_start", url=server.url("/play"), encapsulation="audiosocket")
    report = await simulate_flow(FlowPlan(flow(start, action("sleep", duration=60_000)), record=out, seconds=2.5))
    assert faults(report) == []
    assert to_bytes(SAMPLES) in to_bytes(read_wav(out))


async def test_media_that_nobody_answers_does_not_end_the_flow() -> None:
    report = await simulate_flow(FlowPlan(flow(media(1), action("sleep", duration=200), action("hangup"))))
    assert report.ended == "the flow hung up"
    (problem,) = report.problems
    assert problem.startswith("tcp://127.0.0.1:1: cannot connect: Connection refused")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=404), "fetch: the answer has the status 404, not 200"),
        (web.Response(status=201, text="[]"), "fetch: the answer has the status 201, not 200"),
        (web.Response(text="<p>"), "fetch: the answer is not JSON"),
        (web.Response(text=json.dumps("x" * (1 << 20))), "fetch: the answer has more than 1048576 bytes"),
    ],
)
async def test_an_answer_that_is_wrong_hangs_the_call_up(answer: web.Response, why: str) -> None:
    async with answering(lambda url, request: answer) as (url, _):
        report = await simulate_flow(FlowPlan(fetch(url)))
    assert report.ended == why
    assert len(report.problems) == 1
    assert "s3cret" not in json.dumps(report.as_dict())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/flow/s3cret/menu", "fetch: cannot connect: Connection refused"),
        ("/flow/s3cret/menu", "fetch: event_url should begin with http:// or https://"),
        ("http://[/flow/s3cret/menu", "fetch: event_url is no URL"),
    ],
)
async def test_a_url_that_does_not_answer_hangs_the_call_up(url: str, why: str) -> None:
    report = await simulate_flow(FlowPlan(fetch(url)))
    assert report.ended == why
    assert "s3cret" not in json.dumps(report.as_dict())


async def test_an_answer_that_is_late_leaves_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_engine, "FETCH_TIMEOUT", 0.2)
    over, hang_up = asyncio.Event(), asyncio.Event()

    async def late() -> list[Any]:
        await over.wait()
        return []

    async with answering(lambda url, request: late()) as (url, _):
        call = FlowCall(FlowPlan(fetch(url)))
        calling = asyncio.create_task(call.run(hang_up))
        await eventually(lambda: any(entry.is_problem for entry in call.log))
        assert not calling.done()
        hang_up.set()
        report = await calling
        over.set()
    assert report.ended == "the caller hung up"
    assert report.problems[0].endswith("no answer within 0.2 s: the platform executes nothing more")


async def test_a_number_sign_in_the_url_is_not_sent() -> None:
    def answer(url: str, request: web.Request) -> Any:
        return [action("hangup")] if "d" in request.query else round_of(url)

    async with answering(answer) as (url, asked):
        report = await simulate_flow(FlowPlan(fetch(url), digits="#", after=0.0))
    assert [query for query, _ in asked] == ["", "d="]
    assert faults(report) == []


async def test_what_was_not_sent_is_told(tmp_path: Path) -> None:
    listed = flow(action("digits_receive", length=1, duration=60_000), action("hangup"))
    voice = write_wav(tmp_path / "in.wav", SAMPLES)
    report = await simulate_flow(FlowPlan(listed, digits="12", send=voice, after=0.0))
    assert report.problems == [
        "1 of 2 keys were pressed before the call was over",
        "the sound file was not sent: no media heard the caller",
    ]


async def test_two_media_are_mixed(server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    both = [media(server.ports["/play"]), media(server.ports["/play"])]
    report = await simulate_flow(FlowPlan(flow(*both, action("sleep", duration=2500)), record=out))
    assert [each.report and each.report.frames for each in report.media] == [25, 25]
    heard = np.abs(read_wav(out).astype(float))
    assert heard.max() > np.abs(SAMPLES.astype(float)).max()
    assert len(heard) >= 160 * 124


async def test_the_caller_s_hang_up_ends_the_media(server: ServerProcess) -> None:
    hang_up = asyncio.Event()
    listed = flow(media(server.ports["/echo"]), action("sleep", duration=600_000))
    frames: list[float] = []
    observer = Observer(on_frame=lambda pcm, at: frames.append(at))
    calling = asyncio.create_task(simulate_flow(FlowPlan(listed), observer, hang_up))
    await eventually(lambda: len(frames) > 5)
    hang_up.set()
    report = await calling
    assert (report.ended, report.problems) == ("the caller hung up", [])
    (heard,) = report.media
    assert heard.report is not None
    assert heard.report.close_code == 1000
