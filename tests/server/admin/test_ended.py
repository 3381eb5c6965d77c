"""Streams that are over: what the admin port tells of them, for how long, and to whom."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import End, EndReason, Stream
from mediaserver.call.event_sink import NullEventSink
from mediaserver.handlers.noise import Silence
from mediaserver.routing.route import Route
from mediaserver.runtime import ended_streams
from mediaserver.runtime.registry import StreamRegistry
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.rtp import Packetizer, PayloadType
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.server.admin.live_calls import CONFIG, SHORT, ask, bearer, event, message
from tests.server.process import ServerProcess, connected, get, serving, until_nobody_plays, write_config
from tests.sound import sine, voice, write_wav
from tests.timing import PATIENCE
from tests.virtual import VirtualLoop, in_virtual_time

PATHS = """
[paths."/short"]
handler = "playback"
prompt = "short"
[paths."/short/quiet"]
handler = "playback"
prompt = "quiet"
gain = 6.0
"""
EVENTS = """
[events]
url = "http://127.0.0.1:9/events"
give_up = 0
types = ["digits"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("ended")
    config = write_config(folder, f"{CONFIG}{PATHS}{EVENTS}")
    write_wav(folder / "prompts" / "long.wav", np.zeros(160))
    write_wav(folder / "prompts" / "short.wav", SHORT)
    write_wav(folder / "prompts" / "quiet.wav", (voice(8000) / 300).astype(np.int16))
    with serving(config) as server:
        yield server


async def call(server: ServerProcess, path: str, *messages: bytes) -> None:
    """Call a path, send messages, and leave once something was heard, or when the server hangs up."""
    async with connected(server.url(path)) as websocket:
        for each in messages:
            await websocket.send_bytes(each)
        await websocket.receive()
        if path.startswith("/short"):
            async for _ in websocket:
                pass


async def ended(server: ServerProcess, query: str = "") -> list[Any]:
    await until_nobody_plays(server, headers=bearer("reader"))
    status, answer = await ask(server, "GET", f"/v1/ended-streams{query}", by="reader")
    assert status == 200
    return list(answer["streams"])


async def test_a_stream_that_is_over_is_told_with_what_was_played(server: ServerProcess) -> None:
    await call(server, "/short?call_id=c-1&customer=Ada")
    (found,) = await ended(server, "?call=c-1")
    facts = ("path", "direction", "label", "reason", "code", "call", "wire", "problems")
    assert [found[key] for key in facts] == [
        "/short",
        "in",
        "",
        "finished",
        1000,
        "c-1",
        "audiosocket/pcm",
        [],
    ]
    assert found["variables"] == {"call_id": "c-1", "customer": "Ada"}
    ((sound),) = found["played"]
    assert (sound["name"], sound["seconds"], sound["complete"]) == ("short", 0.1, True)
    assert 0 < sound["ended_s"] <= found["duration_s"]
    for name in (found["id"], "c-1"):
        assert await ask(server, "GET", f"/v1/ended-streams/{name}", by="reader") == (
            200,
            found | {"prompt_warnings": [], "gain": 0.0, "muted": []},
        )
    error = {"error": "no stream c-2 has ended lately"}
    assert await ask(server, "GET", "/v1/ended-streams/c-2", by="reader") == (404, error)
    url = server.admin_url(f"/v1/streams/{found['id']}/events?after=0").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events:
        assert (await message(events))["missed"] == 0
        assert [(await message(events))["type"] for _ in range(2)] == ["stream.started", "stream.ended"]


async def test_what_was_bad_is_told_even_if_it_fails_afterwards(server: ServerProcess) -> None:
    packets = [
        p[-172:] for p in itertools.islice(Packetizer(PayloadType.PCMU).packets(itertools.repeat(bytes(160))), 40)
    ]
    await call(server, "/keys?call_id=lossy&encapsulation=rtp", *[p for n, p in enumerate(packets) if n % 10 != 5])
    (found,) = await ended(server, "?call=lossy&problems=true")
    assert (found["packets"], found["lost_packets"]) == (36, 4)
    assert [(each["kind"], each["text"]) for each in found["problems"] if each["kind"] == "loss"] == [
        ("loss", "4 of 40 RTP packets of the caller were lost (10.0%). Look at the network.")
    ]
    url = server.admin_url("/v1/events?type=digits").replace("http", "ws")
    async with (
        connected(url, headers=bearer("reader")) as events,
        connected(server.url("/keys?call_id=told")) as peer,
    ):
        await peer.receive()
        await ask(server, "POST", "/v1/streams/told/digits", {"digits": "1"})
        await event(events, "digits")
    async with asyncio.timeout(PATIENCE):
        while not (problems := (await ended(server, "?call=told"))[0]["problems"]):
            await asyncio.sleep(0.02)
    assert [each["kind"] for each in problems] == ["event.undelivered"]
    assert problems[0]["text"].startswith("An event was not delivered to events.url: ")


async def test_the_levels_of_a_caller_whom_nobody_watched_are_told_while_the_call_lasts_and_afterwards(
    server: ServerProcess,
) -> None:
    async def known() -> Any:
        status, found = await ask(server, "GET", "/v1/streams/unwatched", by="reader")
        return found["levels"]["caller"]["dbfs"] if status == 200 and found.get("levels") else []

    frame = to_bytes((sine(700, 0.02, 8000, 0.1) * 32767).astype(np.int16))
    async with asyncio.timeout(PATIENCE), connected(server.url("/keys?call_id=unwatched")) as peer:
        while -20 not in await known():
            await peer.send_bytes(frame)
            await asyncio.sleep(0.02)
    (listed,) = await ended(server, "?call=unwatched")
    assert not {"levels", "impairments"} & listed.keys()  # they would be most of a list
    _, found = await ask(server, "GET", "/v1/ended-streams/unwatched", by="reader")
    assert set(found["levels"]["caller"]["dbfs"]) <= {None, -20}
    assert found["levels"]["caller"]["loudest_dbfs"] == -20  # the handler `analyse` listens
    assert found["levels"]["every_s"] == 1
    assert {each["kind"] for each in found["impairments"]} <= {"late", "gap"}  # of a busy machine


async def test_a_prompt_that_is_too_soft_is_told_of_where_it_has_played(server: ServerProcess) -> None:
    await call(server, "/short/quiet?call_id=softly")
    (found,) = await ended(server, "?call=softly")
    _, prompts = await ask(server, "GET", "/v1/prompts", by="reader")
    (quiet,) = [each for each in prompts["prompts"] if each["name"] == "quiet"]
    loudness = quiet["loudness_lufs"]
    assert loudness < -60
    assert quiet["warnings"] == [f"is soft: {loudness:.1f} LUFS, where telephone voices have -26"]
    assert [each["text"] for each in found["problems"] if each["kind"] == "prompt"] == [
        f"The prompt quiet is soft: {loudness + 6:.1f} LUFS, where telephone voices have -26. See Prompts."
    ]


async def test_they_are_listed_the_last_first_by_pages_and_by_what_is_asked_for(server: ServerProcess) -> None:
    for n in range(3):
        await call(server, f"/short?call_id=page-{n}")
        await until_nobody_plays(server, headers=bearer("reader"))
    everything = [each["call"] for each in await ended(server)]
    assert everything[:3] == ["page-2", "page-1", "page-0"]
    assert [each["call"] for each in await ended(server, "?path=/short")][:3] == everything[:3]
    assert await ended(server, "?path=/nowhere") == []
    assert await ended(server, "?label=nobody") == []
    walked, after = [], ""
    while True:
        status, page = await ask(server, "GET", f"/v1/ended-streams?limit=2{after}", by="reader")
        assert status == 200
        walked += [each["call"] for each in page["streams"]]
        if "next" not in page:
            break
        assert len(page["streams"]) == 2
        after = f"&after={page['next']}"
    assert walked == everything
    assert (await ask(server, "GET", "/v1/ended-streams?problems=perhaps", by="reader"))[0] == 400
    assert (await get(server.admin_url("/v1/ended-streams")))[0] == 401


@in_virtual_time
async def test_the_latest_are_kept_and_their_failures_counted(loop: VirtualLoop) -> None:
    registry = StreamRegistry(Metrics(), NullEventSink())
    registry.ended = ended_streams.EndedStreams(2)
    route, library = Route("/path", Silence, {}, WireSettings()), library_of({})
    for name in "abc":
        session = Caller(loop, library, stream=Stream(name, "/path", "peer")).session
        registry.register(session, route)
        registry.note_failure(name, "event.undelivered", f"{name} while it lasted")
        session.finish(End(EndReason.PEER_CLOSED, 1000))
        registry.unregister(session)
    for name in "ac":
        registry.note_failure(name, "event.undelivered", f"{name} afterwards")
    found = {
        each.facts["id"]: [problem.text for problem in each.problems] for each in registry.ended.newest_first()
    }
    undelivered = "An event was not delivered to events.url"
    assert found == {"c": [f"{undelivered}, 2 times: c afterwards."], "b": [f"{undelivered}: b while it lasted."]}
    assert (registry.ended.get("a"), list(found)) == (None, ["c", "b"])
