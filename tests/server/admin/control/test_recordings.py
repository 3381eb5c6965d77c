"""Recordings that requests begin and end: their files, their events, and what cannot be recorded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, from_bytes
from tests.server.admin.live_calls import CONFIG, LONG, ask, bearer, calling, event, message, parts
from tests.server.process import ServerProcess, connected, serving, write_config
from tests.sound import read_stereo, read_wav, write_wav
from tests.timing import eventually

EVENTS = "/v1/events?type=recording.*,stream.ended"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings") / "of-requests"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    config = write_config(folder.parent, f"recordings = '{folder}'\n{CONFIG}")
    write_wav(folder.parent / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        yield server


async def test_a_call_is_recorded_until_a_request_ends_it(server: ServerProcess, folder: Path) -> None:
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/long") as (stream, heard):
        await message(events)
        path = f"/v1/streams/{stream}"
        status, begun = await ask(server, "POST", f"{path}/recording", {"stereo": True})
        file = Path(begun["file"])
        assert (status, file.parent, file.suffix) == (202, folder, ".wav")
        assert file.name.startswith(f"long-{stream}-")
        assert file.stem.endswith(f"-{begun['id']}")
        assert (await event(events, "recording.started"))["data"]["file"] == str(file)
        (found,) = (await ask(server, "GET", path))[1]["recordings"]
        assert found.pop("seconds") < 5
        assert found == {"id": begun["id"], "file": str(file), "paused": False, "error": ""}
        before = len(heard.messages)
        await eventually(lambda: len(heard.messages) >= before + 15)
        assert await ask(server, "DELETE", f"{path}/recording/{begun['id']}") == (204, None)
        done = (await event(events, "recording.done"))["data"]
        assert (done["file"], done["reason"], done["error"]) == (str(file), "requested", "")
        assert (await ask(server, "GET", path))[1]["recordings"] == []
        again = await ask(server, "DELETE", f"{path}/recording/{begun['id']}")
        assert again == (404, {"error": f"no recording {begun['id']} on this stream"})
        await eventually(lambda: len(heard.messages) >= before + 40)  # the call goes on
    caller, us = read_stereo(file).T
    assert not caller.any()
    sound = us[us != 0]
    first = parts(LONG).index(sound[:160].tobytes())
    assert len(sound) >= 10 * 160
    assert (sound == LONG[first * 160 :][: len(sound)]).all()


async def test_a_recording_ends_after_so_many_seconds(server: ServerProcess) -> None:
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, _):
        await message(events)
        begun = (await ask(server, "POST", f"/v1/streams/{stream}/recording", {"seconds": 0.2}))[1]
        done = (await event(events, "recording.done"))["data"]
        assert (done["file"], done["reason"]) == (begun["file"], "max-duration")


async def test_the_end_of_the_stream_finishes_the_file_before_its_last_event(server: ServerProcess) -> None:
    url = server.admin_url(EVENTS).replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events:
        await message(events)
        async with connected(server.url("/silence")) as call:
            await call.receive_bytes()
            (stream,) = (await ask(server, "GET", "/v1/streams?path=/silence"))[1]["streams"]
            files = [
                Path((await ask(server, "POST", f"/v1/streams/{stream['id']}/recording", {}))[1]["file"])
                for _ in range(2)
            ]
            for n in range(1, 26):
                await call.send_bytes(np.full(160, n, np.int16).tobytes())
                await asyncio.sleep(0.02)
            await ask(server, "DELETE", f"/v1/streams/{stream['id']}")
            kinds = []
            while (found := await message(events))["type"] != "stream.ended":
                kinds.append((found["type"], found["data"].get("reason")))
    assert kinds == [("recording.started", None)] * 2 + [("recording.done", "stream-ended")] * 2
    for file in files:
        recorded = read_wav(file).reshape(-1, 160)[:, 0]
        assert recorded.tolist() == list(range(1, 26))[: len(recorded)]
        assert len(recorded) >= 10


async def test_so_many_recordings_and_no_more(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, _):
        path = f"/v1/streams/{stream}/recording"
        answers = [await ask(server, "POST", path, {}) for _ in range(6)]
        assert [status for status, _ in answers] == [202] * 5 + [429]
        assert answers[5][1] == {"error": "there are 5 recordings of this stream already"}
        assert (await ask(server, "DELETE", f"{path}/{answers[0][1]['id']}"))[0] == 204
        assert (await ask(server, "POST", path, {"seconds": 0}))[0] == 400


async def test_recordings_of_requests_are_paused_with_all_others(server: ServerProcess) -> None:
    async with calling(server, "/long") as (stream, heard):
        path = f"/v1/streams/{stream}/recording"
        assert (await ask(server, "PUT", path, {"paused": True}))[0] == 204
        begun = (await ask(server, "POST", path, {"stereo": True}))[1]
        before = len(heard.messages)
        await eventually(lambda: len(heard.messages) >= before + 10)
        await ask(server, "DELETE", f"{path}/{begun['id']}")
        await eventually(lambda: Path(begun["file"]).exists())
    assert not read_stereo(Path(begun["file"])).any()
    assert SILENCE not in heard.messages
    assert from_bytes(heard.messages[0]).any()


def test_without_a_folder_nothing_is_recorded(tmp_path: Path) -> None:
    async def refused(server: ServerProcess) -> None:
        async with calling(server, "/silence") as (stream, _):
            answer = await ask(server, "POST", f"/v1/streams/{stream}/recording", {})
            why = "recordings by request are off: set admin.recordings to a folder"
            assert answer == (403, {"error": why})

    config = write_config(tmp_path, CONFIG.replace('[paths."/long"]\nhandler = "playback"\nprompt = "long"', ""))
    with serving(config) as server:
        asyncio.run(refused(server))
