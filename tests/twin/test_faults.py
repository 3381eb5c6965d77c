"""How the twin's streams end, and what can be wrong with them by a script."""

import asyncio
import struct
import time

import aiohttp
import pytest

from tests.timing import PATIENCE, UNIT, eventually, late
from tests.twin import Call, Fate, Twin, oddities, seeded_fates
from tests.twin.client import CALL, CHUNKS, PCM, dial, receive, rest, status


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1011, 1011), (None, 1006)])
async def test_the_call_ends(twin: Twin, code: int | None, seen: int) -> None:
    call = twin.call(CALL)
    call.faults.close_code = code
    async with dial(twin) as websocket:
        (await call.stream()).hang_up()
        await rest(websocket)
        assert websocket.close_code == seen
    assert await status(twin) == 404


async def test_a_connection_is_cut(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin) as websocket:
        stream = await call.stream()
        stream.cut()
        await rest(websocket)
        assert websocket.close_code == 1006
    assert await stream.over() == "cut"
    assert await status(twin) == 101


async def test_upgrades_are_refused_and_dropped_by_script(twin: Twin) -> None:
    call = twin.call(CALL)
    call.faults.refuse = [503, 502]
    call.faults.drop_upgrades = 1
    assert [await status(twin) for _ in range(2)] == [503, 502]
    async with dial(twin) as websocket:
        assert await rest(websocket) == []
        assert websocket.close_code == 1006
    assert await (await call.stream()).over() == "dropped at once"
    async with dial(twin) as websocket:
        await receive(websocket, 2)


async def test_cut_after_some_frames(twin: Twin) -> None:
    call = twin.call(CALL)
    call.faults.cut_after = 3
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        for chunk in CHUNKS:
            await websocket.send_bytes(chunk)
        await rest(websocket)
    assert (await stream.over(), bytes(stream.heard)) == ("cut after 3 frames", PCM[: 3 * 320])


async def test_cut_at_random_moments_that_repeat(twin: Twin) -> None:
    async def moments(call: Call) -> list[str]:
        call.faults.cut_within, call.faults.seed = 0.1, 5
        ends = []
        for _ in range(2):
            async with dial(twin, id_=call.id) as websocket:
                stream = await call.stream()
                await rest(websocket)
            ends.append(await stream.over())
        return ends

    first, second = await moments(twin.call("1")), await moments(twin.call("2"))
    assert first == second
    assert first[0] != first[1]


@pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])
async def test_strange_messages_among_good_ones(twin: Twin, encapsulation: str) -> None:
    strange = list(oddities(encapsulation).values())
    call = twin.call(CALL)
    call.faults.strange, call.faults.strange_every = strange, 2
    async with dial(twin, encapsulation=encapsulation) as websocket:
        async with asyncio.timeout(PATIENCE):
            got = [(await websocket.receive()).data for _ in range(3 * len(strange))]
        await (await call.stream()).inject("now")
        async with asyncio.timeout(PATIENCE):
            while (await websocket.receive()).data != "now":
                pass
    assert got[::3] == strange


async def test_rtp_fates_by_script(twin: Twin) -> None:
    call = twin.call(CALL)
    fates = {1: Fate.LOST, 2: Fate.LATE, 4: Fate.TWICE}
    call.faults.fates = lambda n: fates.get(n, Fate.THROUGH)
    async with dial(twin, encapsulation="rtp") as websocket:
        got = [struct.unpack_from(">H", packet, 2)[0] for packet in await receive(websocket, 6)]
        road = (await call.stream()).road
    first = got[0]
    assert [(sequence - first) & 0xFFFF for sequence in got] == [0, 3, 2, 4, 4, 5]
    assert [
        [(sequence - first) & 0xFFFF for sequence in those] for those in (road.lost, road.late, road.doubled)
    ] == [
        [1],
        [2],
        [4],
    ]


def test_fates_by_seed() -> None:
    drawn = [seeded_fates(3, loss=0.2, reorder=0.1, duplicate=0.1) for _ in range(2)]
    first, second = ([fate(n) for n in range(1000)] for fate in drawn)
    assert first == second
    assert 150 < first.count(Fate.LOST) < 250
    assert 50 < first.count(Fate.LATE) < 150
    assert 50 < first.count(Fate.TWICE) < 150


async def test_one_that_never_sends(twin: Twin) -> None:
    call = twin.call(CALL)
    call.faults.mute = True
    async with dial(twin) as websocket:
        stream = await call.stream()
        stream.say(PCM)
        with pytest.raises(asyncio.TimeoutError):
            await websocket.receive(timeout=0.1)
    assert stream.said_at == []


async def flood(websocket: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await websocket.send_bytes(bytes(60_000))


async def test_one_that_never_reads(twin: Twin) -> None:
    call = twin.call(CALL)
    call.faults.stall = True
    async with dial(twin, encapsulation="sln") as websocket:
        stream = await call.stream()
        await receive(websocket, 1)  # what it says still comes
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(flood(websocket), 0.2)
        assert stream.heard_at == []
        stream.resume()
        await eventually(lambda: stream.heard_at)


async def test_pings_are_answered(twin: Twin) -> None:
    call = twin.call(CALL, quiet=True)
    url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln&token=secret"
    async with aiohttp.ClientSession() as client, client.ws_connect(url, autoping=False) as websocket:
        await websocket.ping(b"there?")
        pong = await websocket.receive(timeout=PATIENCE)
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"there?")
        await (await call.stream()).ping()
        assert (await websocket.receive(timeout=PATIENCE)).type == aiohttp.WSMsgType.PING


async def test_it_leaves_in_time_with_streams_on() -> None:
    async with Twin() as twin:
        twin.call(CALL)
        stalled = twin.call("2", quiet=True)
        stalled.faults.stall = True
        async with dial(twin), dial(twin, id_="2"):
            await stalled.stream()
            began = time.monotonic()
            await twin.__aexit__()
            assert time.monotonic() - began < 1 * UNIT + late()
