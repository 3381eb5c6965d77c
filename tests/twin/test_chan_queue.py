"""What the twin of chan_websocket plays, and what it tells of its queue."""

import time

import pytest

from tests.timing import eventually
from tests.twin import coded, decode
from tests.twin.application import call, sound, text
from tests.twin.client import CHUNKS, FRAMES, PCM
from tests.twin.codecs import audioop


@pytest.mark.parametrize("codec", ["slin", "ulaw", "alaw"])
async def test_it_plays_what_it_gets_frame_by_frame(codec: str) -> None:
    encoded = {"slin": PCM, "ulaw": audioop.lin2ulaw(PCM, 2), "alaw": audioop.lin2alaw(PCM, 2)}[codec]
    async with call(format=codec) as (channel, websocket):
        began = time.monotonic()
        await websocket.send_bytes(encoded)
        await eventually(lambda: len(channel.heard_at) == FRAMES)
        assert channel.heard == encoded
        assert channel.heard_pcm == coded(PCM, codec) == decode(channel.heard, codec)
        assert (channel.holes, channel.queued) == (0, 0)
        assert channel.heard_at[-1] - began > (FRAMES - 2) * 0.02


async def test_the_rest_of_a_message_is_lost() -> None:
    async with call() as (channel, websocket):
        await websocket.send_bytes(PCM[:500])
        await websocket.send_bytes(PCM[500:660])
        await websocket.send_bytes(CHUNKS[4])
        await eventually(lambda: len(channel.heard_at) == 2)
        assert (channel.heard, channel.lost_bytes) == (CHUNKS[0] + CHUNKS[4], 180 + 160)


async def test_media_that_is_buffered_keeps_its_rests() -> None:
    async with call() as (channel, websocket):
        await text(websocket)
        await websocket.send_str("START_MEDIA_BUFFERING")
        for at in range(0, 1000, 100):
            await websocket.send_bytes(PCM[at : at + 100])
        await websocket.send_str("STOP_MEDIA_BUFFERING b1")
        assert await text(websocket) == "MEDIA_BUFFERING_COMPLETED b1"
        assert (channel.heard, channel.lost_bytes) == (PCM[:1000] + bytes(280), 0)


async def test_holes_are_counted() -> None:
    async with call() as (channel, websocket):
        await websocket.send_bytes(CHUNKS[0])
        await eventually(lambda: channel.heard_at)
        await sound(websocket, len(channel.said_at) + 3)
        await websocket.send_bytes(CHUNKS[1])
        await eventually(lambda: len(channel.heard_at) == 2)
        assert channel.holes >= 2
        assert channel.heard == PCM[:640]


# what it is told


async def test_marks_and_the_end_of_the_queue() -> None:
    async with call() as (channel, websocket):
        await text(websocket)
        await websocket.send_str("MARK_MEDIA before")
        await websocket.send_bytes(PCM)
        await websocket.send_str("MARK_MEDIA after")
        await websocket.send_str("REPORT_QUEUE_DRAINED")
        assert [await text(websocket) for _ in range(3)] == [
            "MEDIA_MARK_PROCESSED before",
            "MEDIA_MARK_PROCESSED after",
            "QUEUE_DRAINED",
        ]
        assert channel.heard == PCM
        await websocket.send_bytes(CHUNKS[0])  # it tells once
        await eventually(lambda: len(channel.heard_at) == FRAMES + 1)
        await websocket.send_str("GET_STATUS")
        assert (await text(websocket)).startswith("STATUS channel_id:ws-1a2b3c4d queue_length:0 xon_level:800")
        await websocket.send_str("REPORT_QUEUE_DRAINED")  # of a queue that is empty
        assert await text(websocket) == "QUEUE_DRAINED"
    assert [command.text for command in channel.commands[:3]] == [
        "MARK_MEDIA before",
        "MARK_MEDIA after",
        "REPORT_QUEUE_DRAINED",
    ]
    assert channel.commands[0].at <= channel.commands[1].at


async def test_pause_and_flush() -> None:
    async with call(json=True) as (channel, websocket):
        await text(websocket)
        for command in ("ANSWER", "PAUSE_MEDIA"):
            await websocket.send_json({"command": command})
        await websocket.send_bytes(PCM)
        await websocket.send_json({"command": "GET_STATUS"})
        assert '"queue_length":5,' in (status := await text(websocket))
        assert status.endswith('"queue_full":false,"bulk_media":false,"media_paused":true}')
        await sound(websocket, 3)
        assert channel.answered
        assert channel.heard == b""
        await websocket.send_json({"command": "FLUSH_MEDIA"})
        await websocket.send_bytes(CHUNKS[3])
        await websocket.send_json({"command": "MARK_MEDIA", "correlation_id": "m1"})
        await websocket.send_json({"command": "CONTINUE_MEDIA"})
        assert await text(websocket) == (
            '{"event":"MEDIA_MARK_PROCESSED","channel_id":"ws-1a2b3c4d","correlation_id":"m1"}'
        )
        assert channel.heard == CHUNKS[3]


async def test_the_queue_says_when_it_is_full() -> None:
    async with call(xoff=5, xon=3, most=7) as (channel, websocket):
        await text(websocket)
        await websocket.send_str("PAUSE_MEDIA")
        for chunk in CHUNKS * 2:
            await websocket.send_bytes(chunk)
        await websocket.send_str("GET_STATUS")
        assert await text(websocket) == "MEDIA_XOFF"
        assert "queue_length:7 xon_level:3 xoff_level:5 queue_full:true" in await text(websocket)
        await websocket.send_str("CONTINUE_MEDIA")
        assert await text(websocket) == "MEDIA_XON"
        await eventually(lambda: channel.queued == 0)
        assert channel.overflowed == 3
        assert channel.heard == (PCM * 2)[: 7 * 320]


@pytest.mark.parametrize(
    ("json", "command", "error"),
    [
        (True, "ANSWER", "Unable to parse JSON command: ANSWER"),
        (False, '{"command":"ANSWER"}', 'Unknown command: {"command":"ANSWER"}: {"command":"ANSWER"}'),
        (False, "DANCE now", "Unknown command: DANCE: DANCE now"),
    ],
)
async def test_what_it_does_not_understand_is_an_error(json: bool, command: str, error: str) -> None:
    async with call(json=json) as (channel, websocket):
        await text(websocket)
        await websocket.send_str(command)
        await websocket.send_str('{"command":"GET_STATUS"}' if json else "GET_STATUS")
        told = [await text(websocket)]
        while "STATUS" not in told[-1]:
            told.append(await text(websocket))
        assert ["ERROR" in each for each in told] == ([True, False] if json else [False])
        assert not channel.answered
    assert channel.errors == [error]
