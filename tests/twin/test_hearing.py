"""What the twin's far end hears of what a client sends, and what the platform drops or dies of."""

import asyncio
import struct
from collections.abc import Callable

import pytest

from tests.timing import eventually
from tests.twin import SILENCE, Twin
from tests.twin.client import CALL, CHUNKS, FRAMES, PCM, dial, receive, rest
from tests.twin.formats import audioop


def audiosocket(pcm: bytes) -> bytes:
    return b"\x10" + struct.pack(">H", len(pcm)) + pcm


def rtp(payload: bytes, payload_type: int = 96, sequence: int = 7) -> bytes:
    return struct.pack(">BBHII", 0x80, payload_type, sequence, 160, 99) + payload


@pytest.mark.parametrize(
    ("encapsulation", "message"),
    [
        ("audiosocket", audiosocket),
        ("sln", bytes),
        ("rtp", rtp),
    ],
)
async def test_it_hears_what_is_sent_well(
    twin: Twin, encapsulation: str, message: Callable[[bytes], bytes]
) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        for chunk in CHUNKS:
            await websocket.send_bytes(message(chunk))
        await eventually(lambda: len(stream.heard_at) == FRAMES)
        assert (stream.heard, stream.errors) == (PCM, [])
    assert await stream.over() == "the client closed with 1000"
    assert stream.peer_code == 1000
    if encapsulation == "rtp":
        assert stream.rtp_heard == [(7, 160, 99, False)] * FRAMES


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "slin"])
async def test_it_takes_slin_whatever_it_says(twin: Twin, codec: str) -> None:
    call = twin.call(CALL, codec=codec, payload_type=0)
    async with dial(twin, encapsulation="rtp") as websocket:
        stream = await call.stream()
        await websocket.send_bytes(rtp(CHUNKS[0], payload_type=0))
        await websocket.send_bytes(rtp(CHUNKS[1]))
        await eventually(lambda: stream.errors)
    assert stream.heard == CHUNKS[0]
    assert stream.errors == ["RTP payload type 96, not 0"]


@pytest.mark.parametrize(
    ("encapsulation", "message"), [("audiosocket", audiosocket), ("sln", bytes), ("rtp", rtp)]
)
async def test_mu_law_from_the_client_is_noise(
    twin: Twin, encapsulation: str, message: Callable[[bytes], bytes]
) -> None:
    call = twin.call(CALL)
    payload = audioop.lin2ulaw(CHUNKS[0], 2)
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        await websocket.send_bytes(message(payload))
        await eventually(lambda: stream.heard_at)
    assert stream.heard == payload  # as if it were linear
    assert stream.errors == ["160 bytes of audio: half a frame of slin"]


@pytest.mark.parametrize(
    ("encapsulation", "message", "error"),
    [
        ("rtp", rtp(bytes(160), payload_type=0), "RTP payload type 0, not 96"),
        ("rtp", rtp(bytes(320))[:11], "RTP header cut short: 11 of 12 bytes"),
        ("rtp", b"\x40" + rtp(bytes(320))[1:], "RTP version 1, not 2"),
        ("rtp", rtp(bytes(321)), "321 bytes are not 16-bit PCM"),
        ("sln", bytes(319), "319 bytes are not 16-bit PCM"),
        ("audiosocket", b"\x12\x00\x02\x01\x01", "AudioSocket audio at another rate, kind 0x12"),
        ("audiosocket", b"", "an empty message"),
        ("sln", "hello", "text message: hello"),
    ],
)
async def test_what_it_drops(twin: Twin, encapsulation: str, message: bytes | str, error: str) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        await (websocket.send_str(message) if isinstance(message, str) else websocket.send_bytes(message))
        await eventually(lambda: stream.errors)
        assert stream.errors == [error]
        await receive(websocket, 3)  # and it goes on
    assert stream.heard_at == []


@pytest.mark.parametrize(
    ("encapsulation", "message", "error"),
    [
        ("audiosocket", b"\x01\x02" * 160, "AudioSocket kind 0x01"),  # raw PCM, as in the tutorial
        ("audiosocket", b"\x03\x00\x015", "AudioSocket kind 0x03"),
        ("audiosocket", b"\x10\x00\x00", "AudioSocket audio of length 0"),
        ("audiosocket", b"\x10\x01", "AudioSocket header cut short: 2 of 3 bytes"),
        ("audiosocket", b"\x10\x01\x40" + bytes(100), "AudioSocket payload cut short: 100 of 320 bytes"),
        ("audiosocket", audiosocket(SILENCE) + b"\x10", "AudioSocket header cut short: 1 of 3 bytes"),
        ("sln", bytes(65_536), "panic: 65536 bytes do not fit in an AudioSocket message"),
        ("sln", b"", "AudioSocket audio of length 0"),
        ("rtp", rtp(b""), "AudioSocket audio of length 0"),
    ],
)
async def test_what_ends_the_stream(twin: Twin, encapsulation: str, message: bytes, error: str) -> None:
    call = twin.call(CALL)
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        await websocket.send_bytes(message)
        await rest(websocket)
        assert websocket.close_code == 1006
    assert await stream.over() == f"Asterisk dropped the stream: {error}"
    assert stream.errors == [error]


async def test_many_messages_in_one_and_a_hangup(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin) as websocket:
        stream = await call.stream()
        await websocket.send_bytes(b"".join(map(audiosocket, CHUNKS)) + b"\x00\x00\x00")
        await rest(websocket)
        assert websocket.close_code == 1006
    assert (await stream.over(), bytes(stream.heard)) == ("the client hung up", PCM)
    assert len(stream.heard_at) == 1


async def test_it_holds_a_client_to_rfc_6455(twin: Twin) -> None:
    call = twin.call(CALL)
    request = (
        f"GET /v1.0/calls/{CALL}/media_stream?encapsulation=sln&token=secret HTTP/1.1\r\nHost: here\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(twin.api.split(":")[2].split("/")[0]))
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    stream = await call.stream()
    zero_key = b"\x82\x82" + bytes(4) + b"\1\0"
    for at in range(0, len(frames := b"\x82\x02\1\0" + zero_key + zero_key + b"\x02" + zero_key[1:]), 5):
        writer.write(frames[at : at + 5])
        await writer.drain()
    await eventually(lambda: len(stream.errors) == 4)
    writer.close()
    await writer.wait_closed()
    assert stream.errors == [
        "WebSocket: an unmasked frame",
        "WebSocket: a masking key used twice running",
        "WebSocket: a masking key used twice running",
        "WebSocket: a message in fragments",
    ]
    assert await stream.over() == "the client went away"
    assert stream.peer_code is None
