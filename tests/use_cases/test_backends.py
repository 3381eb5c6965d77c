"""Backends that are down, slow, or talk nonsense: the caller hears what was planned for that, on time."""

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from mediaserver.audio.pcm import from_bytes
from tests.server.plain_peer import CALL, dialled
from tests.server.process import audiosocket_ports, connected, get, listen, serving, write_config
from tests.sound import speechlike, write_wav
from tests.speech.tts_server import TOKEN, tts_server
from tests.timing import UNIT, eventually, late
from tests.twin import Twin
from tests.use_cases.backend import Backend
from tests.use_cases.conftest import Serve, attach
from tests.use_cases.test_use_cases import heard_by, place

FLOW = """
[paths."/m"]
handler = "menu"
webhook_timeout = 0.5
on_webhook_error = { play = "sorry", hangup = true }
[paths."/m".menus.main]
play = "main"
keys.1 = { webhook = "WEBHOOK" }
"""


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", ["down", "slow", "nonsense", "missing"])
async def test_a_webhook_that_fails(serve: Serve, twin: Twin, backend: Backend, tmp_path: Path, kind: str) -> None:
    main, sorry = speechlike(4000, 1), speechlike(4000, 2)
    write_wav(tmp_path / "prompts/main.wav", main)
    write_wav(tmp_path / "prompts/sorry.wav", sorry)
    backend.answer = lambda question: ["nonsense"]
    urls = {
        "down": f"http://127.0.0.1:{closed_port()}/",
        "slow": "BACKEND/slow",
        "nonsense": "BACKEND/ask",
        "missing": "BACKEND/nowhere",
    }
    call = twin.call()
    with serve(FLOW.replace("WEBHOOK", urls[kind])) as server:
        await attach(server, f"calls/{call.id}", "/m")
        stream = await call.stream()
        await eventually(lambda: place(main, heard_by(stream)) >= 0)
        stream.press("1")
        await stream.over()
        assert place(sorry, heard_by(stream)) > 0
        assert stream.peer_code == 1000
        assert np.diff(stream.heard_at).max() < 0.2 * UNIT + late()  # silence all the while, on time
        await eventually(lambda: backend.told("webhook.failed"))
        assert len(server.events("webhook failed")) == 1


async def test_events_that_nobody_takes_delay_no_frame(twin: Twin, tmp_path: Path) -> None:
    tune = speechlike(8000, 3)
    write_wav(tmp_path / "prompts/tune.wav", tune)
    config = write_config(
        tmp_path,
        f"""
        [voipbin]
        api = "{twin.api}"
        token = "{twin.token}"
        [events]
        url = "http://127.0.0.1:{closed_port()}/"
        give_up = 0.5
        [paths."/play"]
        handler = "playback"
        prompt = "tune"
        linger_ms = 0
        """,
    )
    calls = [twin.call() for _ in range(5)]
    with serving(config) as server:
        for call in calls:
            await attach(server, f"calls/{call.id}", "/play")
        streams = [await call.stream() for call in calls]
        await asyncio.gather(*(stream.over() for stream in streams))
        assert all((np.trim_zeros(heard_by(stream)) == tune).all() for stream in streams)
        assert max(np.diff(stream.heard_at).max() for stream in streams) < 0.2 * UNIT + late()
        await eventually(lambda: len(server.events("webhook event not delivered")) >= 10)
        assert server.stop() == 0


# -- who the call is, where the peer dialled us ----------------------------------------------------

ASKING = """
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
keys.1 = { hangup = true }
timeout = 0.1
retries = 0
on_timeout = { webhook = "BACKEND/ask" }
[paths."/echo/{room}"]
handler = "echo"
"""
OURS = {"token": "s3cret-t0ken", "sig": "s3cret", "expires": "1", "encapsulation": "sln", "framing": "pcm"}


async def test_a_webhook_and_events_know_the_call_by_its_query(serve: Serve, backend: Backend) -> None:
    """What opens the path, and what says how to speak, is nobody's business."""
    with serve(ASKING) as server:
        query = urlencode({"call_id": "abc-123", "customer": "77", **OURS})
        call = await listen(server.url(f"/menu?{query}"))
        assert call.close_code == 1000
        await eventually(lambda: backend.told("stream.ended"))
    (question,) = backend.questions
    about = {"path": "/menu", "resource": "calls/abc-123", "variables": {"call_id": "abc-123", "customer": "77"}}
    assert question.items() >= about.items()
    for event in backend.events:
        assert event["data"].items() >= about.items(), event["type"]
    assert "s3cret" not in json.dumps(backend.events + backend.questions)


async def test_every_handler_s_events_know_the_call(serve: Serve, backend: Backend) -> None:
    """The path's variable stands over the query's of the same name, which fills no setting of ours."""
    with serve(ASKING) as server:
        await listen(server.url("/echo/a?room=b&call=1/2&x=%22"), frames=1)
        await eventually(lambda: backend.told("stream.ended"))
    for event in backend.events:
        assert event["data"]["variables"] == {"room": "a", "call": "1/2", "x": '"'}
        assert event["data"]["resource"] == "calls/1%2F2"  # one segment of a path, whatever it is made of


async def test_a_call_is_known_by_the_uuid_of_audiosocket(serve: Serve, backend: Backend) -> None:
    with serve(audiosocket_ports("/menu?customer=77") + ASKING) as server:
        async with dialled(server.ports["/menu?customer=77"]) as peer:
            await peer.to_the_end()
        await eventually(lambda: backend.told("stream.ended"))
    about = {"resource": f"calls/{CALL}", "variables": {"uuid": str(CALL), "customer": "77"}}
    assert backend.questions[0].items() >= about.items()
    assert all(event["data"].items() >= about.items() for event in backend.events)


async def test_a_call_is_known_by_the_id_of_asterisk_s_channel(serve: Serve, backend: Backend) -> None:
    start = (
        "MEDIA_START connection_id:m1 channel:WebSocket/lab channel_id:17000.1 format:slin optimal_frame_size:320"
    )
    with serve(ASKING) as server:
        async with connected(server.url("/menu?customer=77")) as websocket:
            await websocket.send_str(start)
            async for _ in websocket:
                pass
        await eventually(lambda: backend.told("stream.ended"))
    (question,) = backend.questions
    assert question["resource"] == "calls/17000.1"
    assert question["variables"] == {"customer": "77", "connection_id": "m1", "channel": "WebSocket/lab"}


async def test_variables_of_a_query_are_bounded(serve: Serve, backend: Backend) -> None:
    with serve(ASKING) as server:
        many = "&".join(f"v{n}={n}" for n in range(90))
        await listen(server.url(f"/menu?{many}"))
        await listen(server.url(f"/menu?{'k' * 65}=1&long={'x' * 1001}&fits={'y' * 1000}"))
        first, second = backend.questions
        assert first["variables"] == {f"v{n}": str(n) for n in range(50)}
        assert second["variables"] == {"fits": "y" * 1000}
        warnings = server.events("peer variables exceed limits")
        assert [(line["left_out"], line["path"]) for line in warnings] == [(40, "/menu"), (2, "/menu")]
        assert all("stream" not in line for line in warnings)  # there is none yet


# -- a menu that speaks -----------------------------------------------------------------------------

SPEAKING = f"""
[speech]
timeout = {min(60, 20 * UNIT)}
[speech.openai]
url = "ENGINE"
token = "TOKEN"
[paths."/account"]
handler = "menu"
engine = "openai"
[paths."/account".menus.main]
play = ["main", {{say = "Press one."}}]
keys.1 = {{ webhook = "BACKEND/ask" }}
timeout = 0.1
retries = 0
on_timeout = {{ webhook = "BACKEND/ask" }}
"""


async def test_a_menu_speaks_between_prompts_and_what_a_webhook_answers(
    serve: Serve, backend: Backend, tmp_path: Path
) -> None:
    pytest.importorskip("hibari")
    main = speechlike(4000, 1)
    write_wav(tmp_path / "prompts/main.wav", main)
    backend.answer = lambda question: {
        "play": [{"say": "Your balance is {amount:currency:EUR}, {customer}."}, "main"],
        "variables": {"amount": 12.5},
        "hangup": True,
    }
    async with tts_server() as engine:
        with serve(SPEAKING.replace("ENGINE", engine.url).replace("TOKEN", TOKEN)) as server:
            call = await listen(server.url("/account?customer=Ann"))
            assert call.close_code == 1000
        said = [asked["input"] for asked in engine.requests]
    assert said == ["Press one.", "Your balance is twelve euros and fifty cents, Ann."]
    sound = from_bytes(b"".join(call.messages))
    first = place(main, sound)
    assert first >= 0
    between = sound[first + 4000 :][: place(main, sound[first + 4000 :])]
    assert np.count_nonzero(between) > 2 * 8000  # the sentences


# -- a stream that is one-way -----------------------------------------------------------------------


async def test_a_handler_that_hears_nothing_is_told_in_log_event_and_metric(
    serve: Serve, backend: Backend
) -> None:
    """While the stream lasts: it may last for hours."""
    counter = 'mediaserver_inbound_problems_total{problem="no-audio"}'
    with serve(ASKING) as server:
        _, metrics = await get(server.admin_url("/metrics"))
        assert f"{counter} 0.0" in metrics
        async with connected(server.url("/echo/a?call_id=7")):
            await eventually(lambda: backend.told("stream.inbound"), 20)
            _, metrics = await get(server.admin_url("/metrics"))
        assert f"{counter} 1.0" in metrics
        (line,) = server.events("inbound media problem")
        assert line["hint"].startswith("no audio received in 5 s, though the handler listens")
    (told,) = backend.told("stream.inbound")
    assert told["problem"] == "no-audio"
    assert told["resource"] == "calls/7"
