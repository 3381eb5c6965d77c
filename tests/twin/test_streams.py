"""What a stream of the twin does in time: its schedule, bursts, keys, stalls, and when there is media at all."""

import asyncio
import time

import aiohttp
import numpy as np
import pytest

from tests.sound import level_db
from tests.timing import UNIT, eventually, late
from tests.twin import PTIME, Twin, coded, decode
from tests.twin.client import CALL, CHUNKS, FRAMES, PCM, dial, receive, rest

SILENT = b"\xff" * 160


async def pcm(websocket: aiohttp.ClientWebSocketResponse, count: int) -> bytes:
    """The sound of so many `sln` messages."""
    return decode(b"".join(await receive(websocket, count)), "ulaw")


async def test_a_live_call_is_never_quiet_and_keeps_time(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        assert call.connected.is_set()
        assert await receive(websocket, 2) == [SILENT] * 2
        said = stream.say(PCM)
        time.sleep(0.2)  # noqa: ASYNC251 - a machine that hangs: the schedule does not move
        got = await pcm(websocket, FRAMES + 20)
    assert stream.said.startswith(bytes(640) + got)  # and goes on
    assert got.strip(b"\0") == coded(PCM).strip(b"\0")
    assert stream.started_at is not None
    assert said.started_at is not None
    lateness = [at - stream.started_at - n * PTIME for n, at in enumerate(stream.said_at)]
    assert min(lateness) > -0.001
    assert lateness[-1] < 0.1 * UNIT + late()
    first = stream.said_at.index(said.started_at)
    assert stream.said_at[first + FRAMES - 1] == said.ended_at
    await eventually(lambda: not call.connected.is_set())


async def test_a_burst_waits_for_nothing(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        stream.say(PCM)
        said = stream.say(PCM * 50, paced=False)  # five seconds of sound
        assert await pcm(websocket, 51 * FRAMES) == coded(PCM) * 51
    assert said.started_at is not None
    assert said.ended_at is not None
    assert said.ended_at - said.started_at < 1 * UNIT + late()


async def test_keys_are_heard_and_only_heard(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        stream.press_rfc4733("27")  # of these nothing comes
        stream.press("1#", on_ms=70, gap_ms=50)
        await eventually(lambda: not stream.speaking)
        sound = np.frombuffer(await pcm(websocket, len(stream.said_at)), "<i2") / 32768
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
        got = np.frombuffer(await pcm(websocket, FRAMES), "<i2")
    total = np.frombuffer(PCM, "<i2").astype(int)
    total[:320] += 20_000
    total[:160] += 20_000
    assert got.tobytes() == coded(total.clip(-32768, 32767).astype("<i2").tobytes())


async def test_the_media_comes_after_the_upgrade(twin: Twin) -> None:
    call = twin.call(CALL, media_after=0.1 * UNIT)
    dialled = time.monotonic()  # before the upgrade, of which a busy machine may tell late
    async with dial(twin, encapsulation="rtp") as websocket:
        stream = await call.stream()
        early = [bytes([0x80, 96, 0, n]) + bytes(8) + chunk for n, chunk in enumerate(CHUNKS)]
        for packet in early[:3]:
            await websocket.send_bytes(packet)
        await eventually(lambda: stream.dropped_frames == 3)
        assert not stream.media.is_set()
        await receive(websocket, 1)
        assert time.monotonic() - dialled > 0.09 * UNIT
        assert stream.media.is_set()
        for packet in early[3:]:
            await websocket.send_bytes(packet)
        await eventually(lambda: len(stream.heard_at) == FRAMES - 3)
    assert (stream.dropped, stream.heard, stream.errors) == (PCM[:960], PCM[960:], [])
    assert [header.sequence for header in stream.rtp_heard] == [3, 4]
    assert stream.most_ahead <= 1  # what was dropped does not count
    assert stream.started_at is not None
    if stream.heard_at[-1] - stream.started_at < 0.9 * PTIME:
        assert stream.most_ahead == 1


async def test_what_would_end_a_stream_is_dropped_before_it_has_media(twin: Twin) -> None:
    call = twin.call(CALL, media_after=0.1 * UNIT)
    async with dial(twin) as websocket:
        stream = await call.stream()
        await websocket.send_bytes(b"\x00\x00\x00")
        await websocket.send_bytes(b"\x42\x00\x00")
        await receive(websocket, 3)
        assert (stream.errors, stream.ended) == (["AudioSocket kind 0x42"], None)


async def test_a_stall_of_the_network_loses_nothing(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        said = stream.say(PCM * 2)
        await receive(websocket, 2)
        stream.stall_media(0.2 * UNIT)  # longer than the rest of it
        stalled = time.monotonic()
        await eventually(lambda: not said.frames)
        assert stream.speaking  # it is on its way
        got = await pcm(websocket, 2 * FRAMES - 2)
    assert got == coded(PCM * 2)[640:]
    assert stream.said == coded(PCM * 2)
    burst = [at for at in stream.said_at if at > stalled]
    assert len(burst) > FRAMES
    assert burst[0] - stalled > 0.19 * UNIT
    assert burst[-1] - burst[0] < 0.1 * UNIT + late()


async def test_a_call_that_vanishes(twin: Twin) -> None:
    call = twin.call(CALL)
    call.faults.vanish_after_end = True
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await receive(websocket, 2)
        await websocket.send_bytes(CHUNKS[0])
        await eventually(lambda: stream.heard_at)
        call.hang_up()
        said = len(stream.said_at)
        await receive(websocket, said - 2)
        with pytest.raises(asyncio.TimeoutError):
            await websocket.receive(timeout=0.1)
        await websocket.send_bytes(CHUNKS[1])
        await eventually(lambda: stream.dropped_frames)
    assert await stream.over() == "the client closed with 1000"
    assert (stream.heard, stream.dropped) == (CHUNKS[0], CHUNKS[1])
    assert len(stream.said_at) == said


async def test_a_call_that_was_over_is_silent(twin: Twin) -> None:
    call = twin.call(CALL, after_end="silent")
    call.hang_up()
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await websocket.send_bytes(CHUNKS[0])
        await eventually(lambda: stream.dropped_frames)
        with pytest.raises(asyncio.TimeoutError):
            await websocket.receive(timeout=0.1)
    assert (stream.started_at, stream.said_at, stream.heard) == (None, [], b"")


async def test_the_last_words_of_a_call_come_before_its_end(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        stream.say(PCM * 20, paced=False)
        await eventually(lambda: not stream.speaking)
        call.hang_up()
        assert len(await rest(websocket)) == 20 * FRAMES
        assert websocket.close_code == 1006
    assert await stream.over() == "the call ended"


# how far ahead a client runs


@pytest.mark.parametrize("lead", [0, 1, 5])
async def test_a_lead_is_measured(twin: Twin, lead: int) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await receive(websocket, 1)
        await websocket.send_bytes(PCM[:320] * (lead + 1))
        for _ in range(3):
            await receive(websocket, 1)
            await websocket.send_bytes(PCM[:320])
        await eventually(lambda: len(stream.heard_at) == 4)
    assert stream.most_ahead <= lead
    assert stream.most_waiting >= lead
    if stream.heard_at[0] - stream.said_at[0] < 0.9 * PTIME:
        assert stream.most_ahead == lead


async def test_what_comes_late_is_not_ahead_but_may_have_to_wait(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await receive(websocket, 10)
        await websocket.send_bytes(PCM[:320] * 4)
        await eventually(lambda: stream.heard_at)
    assert (stream.most_ahead, stream.most_waiting) == (0, 3)


@pytest.mark.parametrize(
    ("buffer", "burst", "heard"),
    [(None, 60, 60), ("whisper", 24, 24), ("whisper", 25, 1), ("softmix", 5, 5), ("softmix", 6, 1)],
)
async def test_too_large_a_burst_is_flushed(twin: Twin, buffer: str | None, burst: int, heard: int) -> None:
    """A frame is being played while the others wait, so that a lead of 24 is a burst of 25."""
    call = twin.call(CALL, buffer=buffer)
    sound = (PCM * 12)[: burst * 320]
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await websocket.send_bytes(sound)
        await eventually(lambda: stream.heard_at)
    assert (stream.heard, stream.flushed) == (sound[: heard * 320], sound[heard * 320 :])
