"""What the twin of chan_websocket tells and says, and how its calls end."""

import asyncio

import pytest

from tests.sound import speechlike
from tests.timing import PATIENCE, eventually
from tests.twin import ChanWebSocket, RefusedError, coded
from tests.twin.application import application, call, sound, text
from tests.twin.client import CHUNKS, FRAMES, PCM
from tests.twin.codecs import audioop

# what it tells and says


@pytest.mark.parametrize(("subprotocol", "protocols"), [(True, ("media",)), (True, ()), (False, ("media",))])
async def test_it_works_with_and_without_a_subprotocol(subprotocol: bool, protocols: tuple[str, ...]) -> None:
    async with call(subprotocol=subprotocol, protocols=protocols) as (channel, websocket):
        assert (await text(websocket)).startswith("MEDIA_START connection_id:media1 ")
        assert channel.subprotocol == ("media" if subprotocol and protocols else None)
        assert websocket.ws_protocol == channel.subprotocol


async def test_it_refuses_extensions() -> None:
    async with application(asyncio.Queue(), compress=True) as url:
        with pytest.raises(RefusedError, match="permessage-deflate"):
            async with ChanWebSocket(url):
                pass


async def test_media_start_comes_first_and_then_a_frame_each_20_ms() -> None:
    async with call(format="ulaw") as (channel, websocket):
        first = await websocket.receive(timeout=PATIENCE)
        assert "channel_id:ws-1a2b3c4d format:ulaw optimal_frame_size:160 ptime:20" in first.data
        assert await sound(websocket, 3) == [b"\xff" * 160] * 3
        assert channel.started_at is not None
        late = [at - channel.started_at - n * 0.02 for n, at in enumerate(channel.said_at)]
        assert min(late) > -0.001


async def test_audio_may_come_first() -> None:
    async with call(audio_first=2, said=PCM) as (channel, websocket):
        kinds = [(await websocket.receive(timeout=PATIENCE)).type for _ in range(3)]
        assert [kind.name for kind in kinds] == ["BINARY", "BINARY", "TEXT"]
        assert await sound(websocket, 3) == CHUNKS[2:]
        await eventually(lambda: not channel.speaking)
        assert channel.said.startswith(PCM)


@pytest.mark.parametrize(("codec", "ptime", "size"), [("slin", 20, 320), ("slin16", 20, 640), ("alaw", 40, 320)])
async def test_it_speaks_its_format(codec: str, ptime: int, size: int) -> None:
    pcm = speechlike(1600).astype("<i2").tobytes()[: 3 * (size * 2 if codec == "alaw" else size)]
    async with call(format=codec, ptime=ptime, said=pcm) as (channel, websocket):
        got = await sound(websocket, 3)
        assert [len(frame) for frame in got] == [size] * 3
        assert b"".join(got) == (audioop.lin2alaw(pcm, 2) if codec == "alaw" else pcm)
        assert channel.said.startswith(coded(pcm, codec))


async def test_keys_are_texts() -> None:
    async with call() as (channel, websocket):
        await text(websocket)
        channel.press("5#")
        assert [await text(websocket) for _ in range(2)] == [
            f"DTMF_END digit:{digit} channel_id:ws-1a2b3c4d" for digit in "5#"
        ]
        assert not channel.said.strip(b"\0")


# how it ends


@pytest.mark.parametrize("command", [True, False])
async def test_the_application_s_end_cuts_the_queue(command: bool) -> None:
    async with call() as (channel, websocket):
        await websocket.send_str("PAUSE_MEDIA")
        await websocket.send_bytes(PCM)
        if command:
            await websocket.send_str("HANGUP")
            async with asyncio.timeout(PATIENCE):
                async for _ in websocket:
                    pass
            assert websocket.close_code == 1000
        else:
            await websocket.close(code=1001)
        assert await channel.over() == (
            "the application hung up" if command else "the application closed with 1001"
        )
    assert (channel.hung_up, channel.cut_frames) == (command, FRAMES)
    assert channel.close_code == (1000 if command else 1001)


async def test_the_caller_hangs_up() -> None:
    async with call() as (channel, websocket):
        channel.hang_up()
        async with asyncio.timeout(PATIENCE):
            async for _ in websocket:
                pass
        assert websocket.close_code == 1000
        assert await channel.over() == "hung up here"
    assert (channel.hung_up, channel.cut_frames) == (False, 0)


async def test_the_network_goes_away() -> None:
    async with call() as (channel, websocket):
        await sound(websocket, 1)
        channel.vanish()
        async with asyncio.timeout(PATIENCE):
            async for _ in websocket:
                pass
        assert websocket.close_code == 1006
        assert await channel.over() == "vanished"
