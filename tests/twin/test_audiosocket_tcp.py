"""The twin of Asterisk's AudioSocket, by a server that is a few lines of asyncio."""

import asyncio
import contextlib
import struct
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np
import pytest

from tests.sound import speechlike
from tests.timing import PATIENCE, UNIT, eventually
from tests.twin import PTIME, AsteriskAudioSocket, coded
from tests.twin.client import CHUNKS, FRAMES, PCM
from tests.twin.codecs import audioop

ID = uuid.UUID("652af662-eb45-11ee-b1a5-6fde165f9226")
FRAME = b"\x10\x01\x40"


class Server:
    """One connection of an Asterisk's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def message(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE):
            kind, length = struct.unpack(">BH", await self.reader.readexactly(3))
            return kind, await self.reader.readexactly(length)

    async def messages(self, kind: int, count: int) -> list[bytes]:
        """The next payloads of this kind."""
        payloads: list[bytes] = []
        while len(payloads) < count:
            its, payload = await self.message()
            if its == kind:
                payloads.append(payload)
        return payloads

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def kinds(self) -> list[int]:
        """Of all messages that come until the end."""
        kinds = []
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                kinds.append((await self.message())[0])
        return kinds

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()


@contextlib.asynccontextmanager
async def call(**options: Any) -> AsyncIterator[tuple[AsteriskAudioSocket, Server]]:
    """A call that is with a server."""
    arrived: asyncio.Queue[Server] = asyncio.Queue()
    listener = await asyncio.start_server(lambda *ends: arrived.put_nowait(Server(*ends)), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        async with AsteriskAudioSocket(port, uuid=ID, **options) as asterisk:
            server = await asyncio.wait_for(arrived.get(), PATIENCE)
            yield asterisk, server
            server.writer.close()
    finally:
        listener.close()
        await listener.wait_closed()


# what it sends


async def test_the_uuid_comes_first_and_then_a_frame_each_20_ms() -> None:
    async with call() as (asterisk, server):
        assert await server.message() == (0x01, ID.bytes)
        assert [await server.message() for _ in range(3)] == [(0x10, bytes(320))] * 3
        assert asterisk.started_at is not None
        late = [at - asterisk.started_at - n * PTIME for n, at in enumerate(asterisk.said_at)]
        assert min(late) > -0.001
    assert asterisk.uuid == ID
    assert asterisk.ended == "the test is over"


@pytest.mark.parametrize(
    ("codec", "kind", "size"), [("slin", 0x10, 320), ("ulaw", 0x10, 160), ("slin16", 0x12, 640)]
)
async def test_it_speaks_its_format(codec: str, kind: int, size: int) -> None:
    async with call(format=codec, quiet=True) as (asterisk, server):
        pcm = (PCM * 2)[: 2 * size * (2 if codec == "ulaw" else 1)]
        asterisk.say(pcm)
        got = await server.messages(kind, 2)
        assert [len(payload) for payload in got] == [size, size]
        assert b"".join(got) == (audioop.lin2ulaw(pcm, 2) if codec == "ulaw" else pcm)
        assert asterisk.said == coded(pcm, codec)


async def test_a_file_ends_in_a_short_message_and_a_burst_waits_for_nothing() -> None:
    async with call(format="ulaw", quiet=True) as (asterisk, server):
        asterisk.say(PCM * 10, paced=False)
        asterisk.say_file(PCM[: 2 * 276])
        assert [len(each) for each in await server.messages(0x10, 10 * FRAMES + 2)][-3:] == [160, 160, 116]


async def test_keys_are_messages_and_no_tones() -> None:
    async with call() as (asterisk, server):
        await server.messages(0x10, 1)
        asterisk.press("5#")
        assert await server.messages(0x03, 2) == [b"5", b"#"]
    assert not np.frombuffer(asterisk.said, "<i2").any()


@pytest.mark.parametrize("message", [True, False])
async def test_it_hangs_up(message: bool) -> None:
    async with call(format="ulaw") as (asterisk, server):
        await server.messages(0x10, 2)
        asterisk.hang_up(message)
        assert (0x00 in await server.kinds()) == message
        assert await asterisk.over() == "hung up here"


async def test_it_vanishes() -> None:
    async with call() as (asterisk, server):
        await server.messages(0x10, 2)
        asterisk.vanish()
        assert 0x00 not in await server.kinds()
        assert await asterisk.over() == "vanished"


# what it hears


@pytest.mark.parametrize("codec", ["slin", "ulaw"])
async def test_it_hears_slin_whatever_it_speaks(codec: str) -> None:
    async with call(format=codec) as (asterisk, server):
        await server.say(*(FRAME + chunk for chunk in CHUNKS))
        await eventually(lambda: len(asterisk.heard_at) == FRAMES)
        await server.say(b"\x10\x00\xa0" + bytes(160), b"\x12\x02\x80" + bytes(640))
        await eventually(lambda: len(asterisk.errors) == 2)
        assert asterisk.ended is None
    assert asterisk.heard == PCM + bytes(160)
    assert asterisk.errors == [
        "160 bytes of audio: half a frame of slin",
        "AudioSocket audio at another rate, kind 0x12",
    ]


async def test_slin16_both_ways() -> None:
    sound = speechlike(640).astype("<i2").tobytes()
    async with call(format="slin16") as (asterisk, server):
        await server.say(b"\x12\x02\x80" + sound[:640] + b"\x12\x02\x80" + sound[640:])
        await eventually(lambda: len(asterisk.heard_at) == 2)
    assert (asterisk.heard, asterisk.errors) == (sound, [])
    assert asterisk.most_ahead <= 1


async def test_messages_may_come_in_pieces_that_follow_at_once() -> None:
    data = b"".join(FRAME + chunk for chunk in CHUNKS)
    async with call() as (asterisk, server):
        server.writer.write(data[:400])
        server.writer.write(data[400:])
        await eventually(lambda: asterisk.heard == PCM)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x10\x00\x00", "AudioSocket audio of length 0"),
        (b"\x42\x00\x01\x00", "AudioSocket kind 0x42"),
        (b"\x03\x00\x015", "AudioSocket kind 0x03"),
        (b"\x01\x02" * 160, "AudioSocket kind 0x01"),  # raw PCM
        (FRAME, "AudioSocket message cut short: 3 bytes"),
        (FRAME + bytes(319), "AudioSocket message cut short: 322 bytes"),
        (b"\x10\x01", "AudioSocket message cut short: 2 bytes"),
    ],
)
async def test_what_ends_it(data: bytes, why: str) -> None:
    async with call() as (asterisk, server):
        await server.say(FRAME + CHUNKS[0] + data)
        await eventually(lambda: asterisk.ended)
        assert str(asterisk.ended).startswith(f"Asterisk dropped the stream: {why}")
        await server.rest()
        await asterisk.over()
    assert asterisk.heard == CHUNKS[0]
    assert len(asterisk.errors) == 1


async def test_a_payload_that_lags_behind_its_header_ends_it() -> None:
    async with call() as (asterisk, server):
        await server.say(FRAME)
        await asyncio.sleep(0.02 * UNIT)
        await server.say(CHUNKS[0])
        await server.rest()
        assert "cut short: 3 bytes" in await asterisk.over()
    assert asterisk.heard == b""


# how a server ends it


async def test_a_hang_up_of_the_server_s_is_answered_by_the_end() -> None:
    async with call() as (asterisk, server):
        await server.say(FRAME + CHUNKS[0], b"\x00\x00\x00")
        await server.rest()
        assert asterisk.ended == "hung up by the server"
        server.writer.close()
        assert await asterisk.over() == "hung up by the server"
    assert (asterisk.heard, asterisk.errors, asterisk.reset) == (CHUNKS[0], [], False)


async def test_what_comes_behind_a_hang_up_is_an_error() -> None:
    async with call() as (asterisk, server):
        await server.say(b"\x00\x00\x00" + FRAME + CHUNKS[0])
        await eventually(lambda: asterisk.errors)
    assert (asterisk.heard, asterisk.errors) == (b"", ["323 bytes after the end"])


async def test_a_server_that_only_closes_is_no_hang_up() -> None:
    async with call() as (asterisk, server):
        server.writer.write_eof()
        assert await asterisk.over() == "closed by the server"


async def test_a_close_with_unread_data_is_a_reset() -> None:
    async with call() as (asterisk, server):
        cast("asyncio.Transport", server.writer.transport).pause_reading()
        await eventually(lambda: len(asterisk.said_at) > 5)
        server.writer.close()
        assert await asterisk.over() == "reset"
    assert asterisk.reset


async def test_two_seconds_without_sound_hang_up_a_dialplan_s_call() -> None:
    async with call(quiet=True, dialplan=True, silence_limit=0.2) as (asterisk, server):
        for _ in range(3):  # sound in one direction is enough
            await asyncio.sleep(0.1 * UNIT)
            await server.say(FRAME + CHUNKS[0])
        assert asterisk.ended is None
        assert await asterisk.over() == "no sound in either direction"


async def test_others_bear_silence() -> None:
    async with call(quiet=True, silence_limit=0.02) as (asterisk, _):
        await asyncio.sleep(0.1 * UNIT)
        assert asterisk.ended is None
    async with call(dialplan=True, silence_limit=0.1) as (asterisk, server):  # the caller sends
        await server.messages(0x10, int(10 * UNIT))
        assert asterisk.ended is None
