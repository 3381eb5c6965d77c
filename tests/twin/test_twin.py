"""Who gets a stream of the twin, and what a client hears on it, by a client that is not ours."""

import struct
import time

import aiohttp
import numpy as np
import pytest

from tests.sound import level_db
from tests.timing import UNIT, eventually
from tests.twin import PTIME, SILENCE, Twin
from tests.twin.client import CALL, CHUNKS, FRAMES, PCM, dial, receive, status
from tests.twin.formats import audioop


async def test_it_refuses_as_the_platform_does(twin: Twin) -> None:
    twin.call(CALL)
    ringing = twin.call("2", answered=False)
    twin.forbid("helper")
    assert await status(twin) == 101
    assert await status(twin, token="wrong") == 401
    assert await status(twin, token="helper") == 403
    assert await status(twin, id_="unknown") == 404
    assert await status(twin, what="conferences") == 404
    assert await status(twin, id_="2") == 404
    assert await status(twin, encapsulation="g722") == 400
    ringing.answer()
    assert await status(twin, id_="2") == 101
    assert [asked.status for asked in twin.requests] == [101, 401, 403, 404, 404, 404, 400, 101]
    assert twin.requests[0].path == f"/v1.0/calls/{CALL}/media_stream"
    assert twin.requests[6].encapsulation == "g722"


async def test_a_plain_request_is_no_stream(twin: Twin) -> None:
    twin.call(CALL)
    url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln"
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{url}&token=secret") as response:
            assert response.status == 400
        async with client.get(url) as response:
            assert response.status == 401


async def test_it_never_agrees_to_compress(twin: Twin) -> None:
    twin.call(CALL)
    async with aiohttp.ClientSession() as client:
        url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln&token=secret"
        async with client.ws_connect(url, compress=15) as websocket:
            assert websocket.compress == 0


# what the client gets


async def test_audiosocket_messages(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin) as websocket:
        (await call.stream()).say(PCM + b"\1\0")
        got = await receive(websocket, FRAMES + 1)
    assert got == [b"\x10\x01\x40" + chunk for chunk in [*CHUNKS, b"\1\0" + bytes(318)]]


async def test_the_uuid_may_come_first(twin: Twin) -> None:
    twin.call(CALL, uuid_first=True)
    async with dial(twin) as websocket:
        first, second = await receive(websocket, 2)
    assert first.hex() == "010010" + CALL.replace("-", "")
    assert second == b"\x10\x01\x40" + SILENCE


async def test_sln_messages(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin, encapsulation="sln") as websocket:
        (await call.stream()).say(PCM)
        assert await receive(websocket, FRAMES) == CHUNKS


async def test_sln_that_is_mulaw(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True, mulaw=True)
    async with dial(twin, encapsulation="sln") as websocket:
        (await call.stream()).say(PCM)
        assert await receive(websocket, FRAMES) == [audioop.lin2ulaw(chunk, 2) for chunk in CHUNKS]


@pytest.mark.parametrize("tutorial", [False, True])
async def test_rtp_packets(twin: Twin, tutorial: bool) -> None:
    call = twin.call(CALL, quiet=True, tutorial_rtp=tutorial)
    async with dial(twin, encapsulation="rtp") as websocket:
        (await call.stream()).say(PCM)
        got = await receive(websocket, FRAMES)
    headers = [struct.unpack(">BBHII", packet[:12]) for packet in got]
    first = headers[0][2]
    step = 160 if tutorial else 320
    assert headers == [
        (0x80, 0 if tutorial else 96, (first + n) & 0xFFFF, step * (n + 1), 0) for n in range(FRAMES)
    ]
    assert [packet[12:] for packet in got] == (
        [audioop.lin2ulaw(chunk, 2) for chunk in CHUNKS] if tutorial else CHUNKS
    )


async def test_a_live_call_is_never_quiet_and_keeps_time(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        assert call.connected.is_set()
        assert await receive(websocket, 2) == [SILENCE] * 2
        said = stream.say(PCM)
        time.sleep(0.2)  # noqa: ASYNC251 - a machine that hangs: the schedule does not move
        got = b"".join(await receive(websocket, FRAMES + 20))
    assert stream.said == bytes(640) + got[: len(stream.said) - 640]
    assert got.strip(b"\0") == PCM.strip(b"\0")
    late = [at - stream.started_at - n * PTIME for n, at in enumerate(stream.said_at)]
    assert min(late) > -0.001
    assert late[-1] < 0.1 * UNIT
    first = stream.said_at.index(said.started_at)
    assert stream.said_at[first + FRAMES - 1] == said.ended_at
    await eventually(lambda: not call.connected.is_set())


async def test_a_burst_waits_for_nothing(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        stream.say(PCM)
        said = stream.say(PCM * 50, paced=False)  # five seconds of sound
        assert b"".join(await receive(websocket, 51 * FRAMES)) == PCM * 51
    assert said.ended_at - said.started_at < 1 * UNIT


async def test_keys_are_heard_and_only_heard(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        stream.press("1#", on_ms=70, gap_ms=50)
        await eventually(lambda: not stream.speaking)
        sound = np.frombuffer(b"".join(await receive(websocket, len(stream.said_at))), "<i2") / 32768
    assert [pressed.digit for pressed in stream.pressed] == ["1", "#"]
    start = int(np.flatnonzero(sound)[0]) - 1
    begin = start // 160
    # 70 ms end in the fourth frame, 190 ms in the tenth
    assert [stream.said_at.index(pressed.at) - begin for pressed in stream.pressed] == [3, 9]
    for hz, at in ((697, 0), (1209, 0), (941, 960), (1477, 960)):
        assert level_db(sound[start + at : start + at + 560], hz) == pytest.approx(-12, abs=0.5)
    assert not sound[start + 560 : start + 960].any()


async def test_a_conference_is_heard_together(twin: Twin) -> None:
    conference = twin.conference("c", participants=3, quiet=True)
    loud = np.full(320, 20_000, "<i2").tobytes()
    async with dial(twin, "conferences", "c", encapsulation="sln") as websocket:
        await conference.stream()
        for participant, sound in zip(conference.participants, (PCM, loud, loud[:320]), strict=True):
            participant.say(sound)
        got = np.frombuffer(b"".join(await receive(websocket, FRAMES)), "<i2")
    total = np.frombuffer(PCM, "<i2").astype(int)
    total[:320] += 20_000
    total[:160] += 20_000
    assert got.tolist() == total.clip(-32768, 32767).tolist()
