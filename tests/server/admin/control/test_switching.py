"""Streams that requests switch to other paths: what the caller hears, and what the server says of it."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, ask, bearer, calling, event, message, parts
from tests.server.process import ServerProcess, connected, get, serving, until_nobody_plays, write_config
from tests.sound import read_stereo, write_wav
from tests.timing import eventually

PATHS = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
then = "silence"
gain = 6.0
[paths."/secret"]
handler = "playback"
prompt = "short"
repeat = "forever"
tokens = ["of-the-path"]
encapsulation = "sln"
[paths."/office"]
handler = "silence"
background = "short"
[paths."/one"]
handler = "silence"
max_streams = 1
[paths."/brief"]
handler = "silence"
time_limit = 0.3
[paths."/record"]
handler = "record"
directory = "FOLDER"
stereo = true
[paths."/stays"]
handler = "stays:Stays"
"""
STAYS = """
from mediaserver.handlers import Handler


class Stays(Handler):
    async def run(self, call):
        try:
            await call.silence()
        finally:
            await call.collect_digits(timeout=60)
"""
EVENTS = "/v1/events?type=stream.*,recording.*,digits"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("switching")
    paths = PATHS.replace("FOLDER", str(folder / "recordings"))
    config = write_config(folder, CONFIG + paths)
    (folder / "stays.py").write_text(STAYS)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "short.wav", SHORT)
    with serving(config, PYTHONPATH=str(folder)) as server:
        yield server


async def switch(server: ServerProcess, stream: str, path: str) -> None:
    status, answer = await ask(server, "POST", f"/v1/streams/{stream}/switch", {"path": path})
    assert (status, answer) == (202, {"path": path.partition("?")[0]})


async def test_another_path_continues_on_the_same_connection(server: ServerProcess) -> None:
    await until_nobody_plays(server, headers=bearer("reader"))
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with (
        connected(url, headers=bearer("reader")) as events,
        calling(server, "/long?customer=77&lang=de") as (stream, heard),
    ):
        await event(events, "stream.started")
        await switch(server, stream, "/play/short?lang=en")
        told = await event(events, "stream.switched")
        assert told["stream"] == stream
        assert told["data"] == {
            "path": "/play/short",
            "resource": "",
            "variables": {"customer": "77", "lang": "en", "prompt": "short"},
            "previous": "/long",
            "by": "agent",
        }
        await eventually(lambda: heard.messages[-1] == SILENCE)
        described = (await ask(server, "GET", f"/v1/streams/{stream}"))[1]
        assert (described["path"], described["variables"]["customer"]) == ("/play/short", "77")
        assert (await ask(server, "GET", "/v1/streams?path=/long"))[1]["total"] == 0
        assert (await ask(server, "GET", "/v1/streams?path=/play/{prompt}"))[1]["total"] == 1
        await ask(server, "DELETE", f"/v1/streams/{stream}")
        assert (await event(events, "stream.ended"))["data"]["path"] == "/play/short"
    count = next(n for n, frame in enumerate(heard.messages) if frame != parts(LONG)[n])
    louder = np.clip(np.rint(SHORT * 10 ** (6 / 20)), -32768, 32767).astype(np.int16)
    assert heard.messages[count] == fade_out(parts(LONG)[count])
    # No peak is clipped by a path's gain.
    assert [np.frombuffer(frame, "<i2")[0] for frame in heard.messages[count + 1 : count + 6]] == pytest.approx(
        louder.reshape(-1, 160)[:, 0], abs=1
    )
    assert set(heard.messages[count + 6 :]) == {SILENCE}


async def test_access_and_encapsulation_of_the_other_path_do_not_count(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, heard):
        await switch(server, stream, "/secret")
        await eventually(lambda: heard.messages[-1] in parts(SHORT))
        assert (await ask(server, "GET", f"/v1/streams/{stream}"))[1]["wire"] == "audiosocket/pcm"


async def test_the_background_is_that_of_the_other_path(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, heard):
        await switch(server, stream, "/office")
        await eventually(lambda: heard.messages[-1] != SILENCE)
        await switch(server, stream, "/silence")
        await eventually(lambda: heard.messages[-1] == SILENCE)


async def test_a_handler_that_records_finishes_its_file_and_one_that_collects_keys_begins(
    server: ServerProcess,
) -> None:
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/record") as (stream, heard):
        file = (await event(events, "recording.started"))["data"]["file"]
        await eventually(lambda: len(heard.messages) > 10)
        await switch(server, stream, "/keys")
        assert (await event(events, "recording.done"))["data"]["reason"] == "stopped"
        assert (await message(events))["type"] == "stream.switched"
        await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": "5"})
        assert (await event(events, "digits"))["data"]["path"] == "/keys"
    assert len(read_stereo(Path(file))) > 8 * 160


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/lon", 404, 'no path /lon (did you mean "/long"?)'),
        ("/play/lon", 404, 'no prompt "lon" (did you mean "long"?)'),
        ("/silence?repeat=2", 400, "repeat is not for /silence, which does not repeat anything"),
        ("//other.example.com/long", 400, "//other.example.com/long should be a path alone, without a server"),
        ("long", 400, "body: path: should match the pattern ^/ (it is 'long')"),
    ],
)
async def test_where_there_is_nothing_to_switch_to_all_goes_on(
    server: ServerProcess, path: str, status: int, why: str
) -> None:
    async with calling(server, "/long") as (stream, heard):
        answer = await ask(server, "POST", f"/v1/streams/{stream}/switch", {"path": path})
        assert answer == (status, {"error": why})
        before = len(heard.messages)
        await eventually(lambda: len(heard.messages) > before + 5)
    assert heard.messages == parts(LONG)[: len(heard.messages)]


async def test_the_limits_of_the_other_path_hold(server: ServerProcess) -> None:
    await until_nobody_plays(server, headers=bearer("reader"))
    async with calling(server, "/one") as (first, _), calling(server, "/long") as (second, heard):
        path = f"/v1/streams/{second}/switch"
        got = await ask(server, "POST", path, {"path": "/one"})
        assert got == (503, {"error": "full: 1 stream is playing on this path, try again later"})
        await switch(server, first, "/one")  # as it is there already
        await switch(server, first, "/silence")
        await eventually(lambda: bool(server.events("stream switched")))
        await switch(server, second, "/one")
        await eventually(lambda: heard.messages[-1] == SILENCE)
        metrics = (await get(server.admin_url("/metrics"), headers=bearer("reader")))[1]
        for pattern, count in (("/one", 1), ("/silence", 1), ("/long", 0)):
            assert f'mediaserver_sessions{{path="{pattern}"}} {count}.0' in metrics
    async with calling(server, "/long") as (stream, heard):
        await switch(server, stream, "/brief")
        await eventually(lambda: heard.close_code is not None)
        assert heard.close_code == 1008


async def test_of_many_that_are_switched_at_once_as_many_are_as_the_path_takes(server: ServerProcess) -> None:
    await until_nobody_plays(server, headers=bearer("reader"))
    async with contextlib.AsyncExitStack() as calls:
        streams = [(await calls.enter_async_context(calling(server, "/record")))[0] for _ in range(3)]
        paths = [f"/v1/streams/{stream}/switch" for stream in streams]
        answers = await asyncio.gather(*[ask(server, "POST", path, {"path": "/one"}) for path in paths])
        assert sorted(status for status, _ in answers) == [202, 503, 503]


async def test_a_switch_while_another_one_is_made_is_refused(server: ServerProcess) -> None:
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/stays") as (stream, _):
        await switch(server, stream, "/silence")
        got = await ask(server, "POST", f"/v1/streams/{stream}/switch", {"path": "/long"})
        assert got == (409, {"error": "the stream is being switched already: wait for stream.switched"})
        await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": "1"})
        assert (await event(events, "stream.switched"))["data"]["path"] == "/silence"
        await switch(server, stream, "/long")
