"""Listening to live streams by the admin port: which samples come, who may, and what becomes of slow readers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.containers import browser_wav
from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from tests.server.admin.live_calls import LONG, TOKENS, ask, bearer, calling, event, message, parts
from tests.server.process import ServerProcess, client_session, connected, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, eventually

CONFIG = f"""{TOKENS}
[admin.tokens.coach]
token = "of-the-coach"
scopes = ["read", "listen"]
[admin.tokens.coach-of-agents]
token = "of-the-coach-of-agents"
scopes = ["listen", "control"]
[defaults]
framing = "pcm"
lead = 0
[paths."/long"]
handler = "playback"
prompt = "long"
[paths."/silence"]
handler = "silence"
"""
SPEECH = [to_bytes(np.full(160, -8 * n, dtype=np.int16)) for n in range(1, 501)]  # of the caller: no two are alike


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("listen")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        yield server


@contextlib.asynccontextmanager
async def listening(server: ServerProcess, path: str, by: str = "coach") -> AsyncIterator[aiohttp.ClientResponse]:
    async with client_session() as client, client.get(server.admin_url(path), headers=bearer(by)) as response:
        yield response


async def frames(response: aiohttp.ClientResponse, count: int, channels: int = 1) -> list[bytes]:
    """So many frames of a response, after its header; at its end there may be fewer."""
    size = channels * 320
    pcm = b""
    async with asyncio.timeout(PATIENCE):
        while len(pcm) < count * size and (part := await response.content.read(count * size - len(pcm))):
            pcm += part
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


async def sounding(response: aiohttp.ClientResponse, count: int, channels: int = 1) -> list[bytes]:
    """Frames of a response, until each channel had sound in so many: a busy machine has silence between them."""
    got: list[bytes] = []
    while min(with_sound(channel(got, n) if channels > 1 else got) for n in range(channels)) < count:
        got += (more := await frames(response, 1, channels))
        assert more, "the response is over"
    return got


def with_sound(mono: list[bytes]) -> int:
    return sum(frame != SILENCE for frame in mono)


def channel(stereo: list[bytes], n: int) -> list[bytes]:
    return [to_bytes(from_bytes(frame).reshape(-1, 2)[:, n]) for frame in stereo]


def assert_part_of(heard: list[bytes], whole: list[bytes], least: int) -> None:
    """What was heard is a part of `whole`, frame by frame; where the machine was late, silence is between."""
    sound = [frame for frame in heard if frame != SILENCE]
    assert len(sound) >= least
    at = whole.index(sound[0])
    assert sound == whole[at : at + len(sound)]


@contextlib.asynccontextmanager
async def speaking(server: ServerProcess, path: str) -> AsyncIterator[str]:
    """A call whose caller speaks; yields its stream's id."""
    async with connected(server.url(path)) as websocket:

        async def speak() -> None:
            for frame in SPEECH:
                await websocket.send_bytes(frame)
                await asyncio.sleep(0.02)

        async def drain() -> None:
            async for _ in websocket:
                pass

        tasks = [asyncio.create_task(speak()), asyncio.create_task(drain())]
        listed = (await ask(server, "GET", f"/v1/streams?path={path}"))[1]["streams"]
        try:
            yield listed[-1]["id"]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_played_is_heard_sample_by_sample(server: ServerProcess) -> None:
    async with (
        calling(server, "/long") as (stream, heard),
        listening(server, f"/v1/streams/{stream}/listen?side=us") as wav,
    ):
        assert wav.status == 200
        assert (wav.content_type, wav.headers["Cache-Control"]) == ("audio/wav", "no-store")
        header = await wav.content.readexactly(44)
        assert header[:4] + header[8:16] == b"RIFFWAVEfmt "
        assert header[20:36] == bytes.fromhex("0100 0100 401f0000 803e0000 0200 1000".replace(" ", ""))
        assert header[4:8] == header[40:] == b"\xff" * 4
        got = await sounding(wav, 50)
    assert_part_of(got, parts(LONG), 50)
    assert heard.messages == parts(LONG)[: len(heard.messages)]


async def test_browsers_get_the_same_sound_in_a_form_that_they_play_at_once(server: ServerProcess) -> None:
    async with (
        calling(server, "/long") as (stream, _),
        listening(server, f"/v1/streams/{stream}/listen?side=us&for=audio") as wav,
    ):
        assert await wav.content.readexactly(44) == browser_wav.HEADER
        got = await asyncio.wait_for(wav.content.readexactly(384_000), PATIENCE)  # a second
    samples = np.frombuffer(got, dtype="<i4").reshape(-1, 2) >> 16
    assert np.array_equal(samples[:, 0], samples[:, 1])
    levels = samples[480 :: 6 * 160, 0]  # in the middle of each frame, all of whose samples have one value
    steps = np.rint(levels[levels > 4] / 8).astype(int)
    assert len(steps) >= 20
    assert np.isin(np.diff(steps), (0, 1)).all()  # each frame of the prompt is by one step louder than the last
    refused = 400, {"error": "for should be one of any, audio"}
    assert await ask(server, "GET", f"/v1/streams/{stream}/listen?for=me", by="coach") == refused


async def test_both_sides_are_heard_in_stereo_and_one_alone(server: ServerProcess) -> None:
    async with (
        speaking(server, "/long") as stream,
        listening(server, f"/v1/streams/{stream}/listen") as both,
        listening(server, f"/v1/streams/{stream}/listen?side=caller") as caller,
    ):
        header = await both.content.readexactly(44)
        assert header[22:24] == b"\x02\x00"
        await caller.content.readexactly(44)
        stereo, mono = await sounding(both, 30, channels=2), await sounding(caller, 30)
        described = (await ask(server, "GET", f"/v1/streams/{stream}"))[1]
    assert described["listeners"] == 2
    assert_part_of(channel(stereo, 0), SPEECH, 30)
    assert_part_of(channel(stereo, 1), parts(LONG), 30)
    assert_part_of(mono, SPEECH, 30)


async def test_listening_is_told_and_the_end_of_the_stream_ends_it(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=listening.*,stream.ended").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events:
        await message(events)
        async with calling(server, "/silence") as (stream, _):
            path = f"/v1/streams/{stream}/listen"
            async with listening(server, f"{path}?side=us") as wav:
                assert len(await frames(wav, 10)) == 10
                started = await event(events, "listening.started")
                lines = [line for line in server.events("admin request") if line["path"] == path]
                assert [(line["by"], line["begins"], line["side"]) for line in lines] == [("coach", True, "us")]
                assert (await ask(server, "DELETE", f"/v1/streams/{stream}"))[0] == 204
                assert len(await frames(wav, 100_000)) < 1000  # it comes to an end
        ended = await event(events, "listening.ended")
        assert (await message(events))["type"] == "stream.ended"
    assert started["stream"] == ended["stream"] == stream
    facts = {"by": "coach", "side": "us", "role": "listen"}
    assert facts.items() <= started["data"].items()
    assert facts.items() <= ended["data"].items()
    assert ended["data"]["seconds"] > 0
    await eventually(lambda: len([line for line in server.events("admin request") if line["path"] == path]) == 2)
    last = [line for line in server.events("admin request") if line["path"] == path][-1]
    assert (last["by"], last["status"]) == ("coach", 200)


async def test_a_listener_that_leaves_is_noticed(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=listening.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, _):
        async with listening(server, f"/v1/streams/{stream}/listen") as wav:
            await frames(wav, 5, channels=2)
        assert (await event(events, "listening.ended"))["stream"] == stream
        assert (await ask(server, "GET", f"/v1/streams/{stream}"))[1]["listeners"] == 0


async def test_who_may_listen_and_to_what(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, _):
        path = f"/v1/streams/{stream}/listen"
        for by in ("reader", "agent"):
            status, answer = await ask(server, "GET", path, by=by)
            assert (status, answer) == (403, {"error": f"the token {by} lacks the scope listen"})
        status, answer = await ask(server, "GET", f"{path}?side=left", by="coach")
        assert (status, answer) == (400, {"error": "side should be one of both, caller, us"})
        assert (await ask(server, "GET", "/v1/streams/none/listen", by="coach"))[0] == 404
        ticket = (await ask(server, "POST", "/v1/tickets", {"path": path}, by="coach"))[1]["ticket"]
        async with (
            client_session() as client,
            client.get(server.admin_url(f"{path}?side=both&ticket={ticket}")) as wav,
        ):
            assert wav.status == 200
            assert len(await frames(wav, 3, channels=2)) == 3


async def test_who_does_not_read_loses_audio_and_is_disconnected_while_the_call_goes_on(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG, handshake_timeout=4)
    write_wav(tmp_path / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        url = server.admin_url("/v1/events?type=listening.*").replace("http", "ws")
        async with connected(url, headers=bearer("reader")) as events, calling(server, "/long") as (stream, heard):
            host, _, port = server.admin.partition(":")
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connect((host, int(port)))
                head = {"Host": "here"} | bearer("coach")
                lines = [f"GET /v1/streams/{stream}/listen HTTP/1.1", *(f"{key}: {head[key]}" for key in head)]
                peer.sendall("\r\n".join([*lines, "", ""]).encode())
                ended = (await event(events, "listening.ended"))["data"]
            assert ended["dropped_s"] >= 1  # of the 4 s for which it took nothing, less the 2 s that are kept
            assert ended["seconds"] >= 4
            count = len(heard.messages)
            await eventually(lambda: len(heard.messages) >= count + 10)
        assert heard.messages == parts(LONG)[: len(heard.messages)]


def audio_url(server: ServerProcess, stream: str, query: str = "") -> str:
    return server.admin_url(f"/v1/streams/{stream}/audio{query}").replace("http", "ws")


@contextlib.asynccontextmanager
async def talking(
    server: ServerProcess, stream: str, role: str, by: str = "coach-of-agents"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A peer that talks on a stream; what it hears, it does not read."""
    url = audio_url(server, stream, f"?side=caller&role={role}")
    async with connected(url, headers=bearer(by)) as websocket:
        yield websocket


async def say(websocket: aiohttp.ClientWebSocketResponse, pcm: list[bytes]) -> None:
    for part in pcm:
        await websocket.send_bytes(part)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("side", "size"), [("both", 640), ("us", 320)])
async def test_a_websocket_has_a_message_a_frame(server: ServerProcess, side: str, size: int) -> None:
    async with calling(server, "/long") as (stream, _):
        got: list[bytes] = []
        async with connected(audio_url(server, stream, f"?side={side}"), headers=bearer("coach")) as websocket:
            async with asyncio.timeout(PATIENCE):
                while with_sound(channel(got, 1) if side == "both" else got) < 20:
                    got.append(await websocket.receive_bytes())
                await ask(server, "DELETE", f"/v1/streams/{stream}")
                while (message := await websocket.receive()).type == aiohttp.WSMsgType.BINARY:
                    got.append(message.data)
            assert (websocket.close_code, message.extra) == (1000, "the stream has ended")
    assert {len(message) for message in got} == {size}
    assert_part_of(channel(got, 1) if side == "both" else got, parts(LONG), 20)


async def test_who_barges_in_is_heard_in_place_of_the_prompt_which_then_goes_on(server: ServerProcess) -> None:
    spoken = SPEECH[400:420]
    async with calling(server, "/long") as (stream, heard):
        async with talking(server, stream, "barge") as websocket:
            await say(websocket, spoken)
            await eventually(lambda: spoken[-1] in heard.messages)
        count = len(heard.messages)
        await eventually(lambda: len(heard.messages) >= count + 10 and heard.messages[-1] in parts(LONG))
    others = [frame for frame in heard.messages if frame not in (*parts(LONG), SILENCE)]
    assert others[1:] == spoken  # after the frame in which the prompt fades out
    prompt = [frame for frame in heard.messages if frame in parts(LONG)]
    assert prompt == parts(LONG)[: len(prompt)]


async def test_who_whispers_is_heard_over_the_prompt(server: ServerProcess) -> None:
    spoken = SPEECH[400:420]
    async with calling(server, "/long") as (stream, heard):
        async with talking(server, stream, "whisper") as websocket:
            await say(websocket, spoken)
        count = len(heard.messages)
        await eventually(lambda: len(heard.messages) >= count + 15)
    over = [
        to_bytes(from_bytes(frame) - from_bytes(prompt))
        for frame, prompt in zip(heard.messages, parts(LONG), strict=False)
    ]
    assert [frame for frame in over if frame != SILENCE] == spoken


async def test_who_sends_too_fast_is_read_at_twice_real_time_while_the_call_goes_on(server: ServerProcess) -> None:
    piece = to_bytes(np.full(32_000, 1000, dtype=np.int16))
    sent = 0
    async with (
        calling(server, "/long") as (stream, heard),
        talking(server, stream, "barge") as websocket,
        talking(server, stream, "listen") as idle,
    ):
        for peer in (websocket, idle):
            peer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)

        async def flood(peer: aiohttp.ClientWebSocketResponse) -> None:
            nonlocal sent
            while True:
                await peer.send_bytes(piece)
                sent += len(piece)

        began = asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.gather(flood(websocket), flood(idle))
        took = asyncio.get_running_loop().time() - began
        assert sent > 0
        # Each peer: what waits in queues at both ends, the burst, and then the rate.
        assert sent < 2 * (1_000_000 + 32_000 * (1 + took))
        count = len(heard.messages)
        await eventually(lambda: len(heard.messages) >= count + 10)
        for peer in (websocket, idle):
            peer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)  # or it would wait to say that it leaves


async def test_who_may_talk_and_how(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=listening.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, _):
        for by, query, status in (
            ("coach", "?role=barge", 403),
            ("agent", "?role=whisper", 403),
            ("coach", "?role=sing", 400),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connected(audio_url(server, stream, query), headers=bearer(by)):
                    pass
            assert refused.value.status == status
        async with talking(server, stream, "whisper") as websocket:
            started = await event(events, "listening.started")
            await websocket.send_bytes(bytes(321))
            async with asyncio.timeout(PATIENCE):
                while (last := await websocket.receive()).type == aiohttp.WSMsgType.BINARY:
                    pass
            assert (websocket.close_code, last.extra) == (1007, "should be whole samples of 16 bits")
        ended = await event(events, "listening.ended")
    facts = {"by": "coach-of-agents", "side": "caller", "role": "whisper"}
    assert facts.items() <= started["data"].items()
    assert facts.items() <= ended["data"].items()
    lines = [line for line in server.events("admin request") if line["path"].endswith(f"{stream}/audio")]
    assert {**facts, "begins": True}.items() <= lines[0].items()
