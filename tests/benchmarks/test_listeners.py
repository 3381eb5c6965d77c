"""The listeners of the benchmarks: what they say they heard is what was sent."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from benchmarks.certificate import make_certificate
from benchmarks.listeners.__main__ import unverified
from benchmarks.listeners.arrivals import Arrivals
from benchmarks.listeners.dialling import Target
from benchmarks.listeners.epoll import Listeners
from benchmarks.listeners.frames import BINARY, PONG, take_frames
from benchmarks.listeners.handshake import DialError
from benchmarks.listeners.measure import MEASURING, Plan, measure
from benchmarks.listeners.report import Report
from benchmarks.listeners.speech import MULAW, PCM, RTP, Speech
from mediaserver.audio.pcm import PTIME
from mediaserver.transport.masking import mask
from mediaserver.wire import rtp, websocket
from tests.benchmarks.scripted import Script, served, upgrade
from tests.timing import PATIENCE, late

FRAME = websocket.binary(bytes(320))
HERE = os.getpid()  # of which CPU time and memory are told
SHORT = Plan(streams=5, seconds=0.5, warm_up=0.1, rate=500)
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


async def heard_of(script: Script, plan: Plan = SHORT, begun: asyncio.Event | None = None) -> Report:
    """What is reported of a server that does as a script says; `begun` is set when the window begins."""
    loop = asyncio.get_running_loop()

    def tell(word: str) -> None:
        if begun is not None and word == MEASURING:
            loop.call_soon_threadsafe(begun.set)

    async with served(script) as port:
        return await asyncio.to_thread(measure, Target(port), HERE, plan, tell)


async def listen_to_the_end(script: Script, streams: int) -> Listeners:
    """Until all were closed."""
    async with served(script) as port:
        listeners = Listeners(Target(port), 320, Arrivals(10))
        listeners.dial([0.0] * streams)
        deadline = time.monotonic() + PATIENCE
        await asyncio.to_thread(listeners.run, lambda now: listeners.closed == streams or now > deadline)
        listeners.close()
    assert listeners.closed == streams
    return listeners


async def paced(writer: Writer, messages: list[bytes]) -> None:
    """Messages on an absolute schedule, then nothing more."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for message in messages:
        writer.write(message)
        due += PTIME
        await asyncio.sleep(due - loop.time())


async def listen_on(reader: Reader) -> bytes:
    """All that the peer sends until it hangs up."""
    return await reader.read()


async def keep(reader: Reader, said: bytearray) -> None:
    """Keep what the peer says as soon as it comes, up to its end, which may be a reset."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            said += data


@pytest.mark.parametrize("step", [1, 97, 324, 700, 10_000])
async def test_every_frame_is_counted_once_however_the_bytes_are_split(step: int) -> None:
    stream = FRAME * 4 + b"\x8a\x00" + websocket.header(70_000) + bytes(70_000) + b"\x82\x00" + FRAME * 10

    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer, also=FRAME)
        for at in range(0, len(stream), step):
            writer.write(stream[at : at + step])
            await writer.drain()
        writer.write(b"\x88\x00")
        await listen_on(reader)

    listeners = await listen_to_the_end(script, 3)
    assert listeners.arrivals.count == 3 * (1 + 4 + 2 + 10)
    assert listeners.bad == 3 * 2  # the long one and the empty one
    assert set(listeners.arrivals.firsts()) == set(listeners.answered)


async def test_the_middle_of_a_frame_is_not_taken_for_a_frame() -> None:
    tricky = websocket.binary(websocket.header(320) * 80)  # four bytes into it begins what looks like another
    short = websocket.binary(bytes(319))

    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        for piece in (tricky[:4], tricky[4:] + short[:4], short[4:]):
            writer.write(piece)
            await asyncio.sleep(0.05)
        writer.write(b"\x88\x00")
        await listen_on(reader)

    listeners = await listen_to_the_end(script, 1)
    assert (listeners.arrivals.count, listeners.bad) == (2, 1)


async def test_a_steady_server_is_told_as_steady() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        await paced(writer, [FRAME] * 200)

    report = await heard_of(script)
    assert (report.streams, report.closed, report.bad) == (5, 0, 0)
    assert report.share == pytest.approx(1, abs=0.3 + late() / report.seconds)
    assert report.frames == round(report.share * 5 * report.seconds / PTIME)
    assert 0 < report.own_core < 1


async def test_a_frame_that_is_late_is_seen_as_late() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        await paced(writer, [FRAME] * 20)
        await asyncio.sleep(0.15)
        await paced(writer, [FRAME] * 200)

    report = await heard_of(script)
    assert report.lateness_max >= 100
    assert report.deviation_p999 >= 100


async def test_a_close_a_reset_and_a_wrong_size_are_told() -> None:
    callers, begun = iter(range(5)), asyncio.Event()

    async def script(reader: Reader, writer: Writer) -> None:
        caller = next(callers)
        await upgrade(reader, writer)
        while not begun.is_set():
            await paced(writer, [FRAME])
        if caller == 0:
            writer.write(b"\x88\x02\x03\xe8")
            await listen_on(reader)
        elif caller == 1:
            writer.transport.abort()
        elif caller == 2:
            await paced(writer, [FRAME, websocket.binary(bytes(319)), b"\x81\x02hi", FRAME])
        else:
            await paced(writer, [FRAME] * 200)
        await listen_on(reader)

    report = await heard_of(script, replace(SHORT, seconds=1.0), begun)
    assert (report.closed, report.bad) == (2, 2)
    assert report.trouble == "2 streams were closed, 2 messages were wrong"


@pytest.mark.parametrize(("frames", "pause"), [([], 0.0), ([FRAME] * 20, 0.0), ([FRAME] * 200, 0.5)])
async def test_a_stream_that_hears_nothing_is_told(frames: list[bytes], pause: float) -> None:
    """From the beginning, from somewhere in the window, or until somewhere in it."""
    callers = iter(range(5))

    async def script(reader: Reader, writer: Writer) -> None:
        mine, wait = ([FRAME] * 200, 0.0) if next(callers) else (frames, pause)
        await upgrade(reader, writer)
        await asyncio.sleep(wait)
        await paced(writer, mine)
        await listen_on(reader)

    report = await heard_of(script, replace(SHORT, seconds=0.8))
    assert (report.silent, report.closed) == (1, 0)
    assert report.trouble == "1 streams and 0 newcomers were silent"


async def test_a_newcomer_that_hears_nothing_is_told() -> None:
    callers = iter(range(8))

    async def script(reader: Reader, writer: Writer) -> None:
        is_deaf = next(callers) == 7
        await upgrade(reader, writer)
        await paced(writer, [] if is_deaf else [FRAME] * 200)
        await listen_on(reader)

    report = await heard_of(script, replace(SHORT, newcomers=3, newcomers_rate=500))
    assert (report.silent, report.newcomers, report.newcomers_silent) == (0, 3, 1)
    assert report.trouble == "0 streams and 1 newcomers were silent"


async def test_a_ping_is_answered_and_is_no_frame() -> None:
    answered = bytearray()

    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        writer.write(b"\x89\x03abc")
        answered.extend(await reader.readexactly(9))
        await listen_on(reader)

    report = await heard_of(script, Plan(streams=1, seconds=0.2, warm_up=0.2))
    assert bytes(answered) == b"\x8a\x83" + bytes(4) + b"abc"
    assert report.frames == 0


async def test_newcomers_are_no_part_of_the_first_group() -> None:
    callers = iter(range(15))

    async def script(reader: Reader, writer: Writer) -> None:
        is_new = next(callers) >= 5
        await upgrade(reader, writer)
        if is_new:
            await asyncio.sleep(0.3)
            writer.write(FRAME * 100)  # as unevenly as can be
        await paced(writer, [FRAME] * 200)

    plan = Plan(
        streams=5, seconds=0.8, warm_up=0.1, rate=500, newcomers=10, newcomers_rate=500, newcomers_after=0.1
    )
    report = await heard_of(script, plan)
    assert (report.streams, report.newcomers) == (5, 10)
    assert report.first_frame_p99 < report.newcomers_first_frame_p99 >= 200
    assert report.frames > round(report.share * 5 * report.seconds / PTIME) + 10 * 100
    assert report.lateness_max < 1500  # a hundred frames at once put a stream's schedule 1980 ms early


async def test_those_who_hang_up_are_gone_at_once_and_told_of_no_more() -> None:
    """One half says goodbye before."""
    ends: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        writer.write(FRAME)  # nothing more, since a frame that comes too late would take the goodbye away
        ends.append(await listen_on(reader))

    report = await heard_of(script, replace(SHORT, streams=60, leavers=40, leavers_after=0.2))
    goodbye = mask(websocket.close(1000), bytes(4))
    assert Counter(ends)[goodbye] == 20
    assert len(ends) >= 40  # the others may be told at the end that the listeners are gone
    assert (report.streams, report.closed) == (20, 0)


async def test_listeners_that_talk() -> None:
    said = [bytearray() for _ in range(5)]
    callers = iter(said)

    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        keeping = asyncio.create_task(keep(reader, next(callers)))
        await paced(writer, [FRAME] * 400)
        await keeping

    report = await heard_of(script, replace(SHORT, says=RTP))
    speech = Speech(RTP, masked=True)
    for data in said:
        payloads = [frame.payload for frame in take_frames(bytes(data), masked=True)[0]]
        first = rtp.parse(payloads[0]).sequence  # the speech has begun before the listener was there
        assert payloads == [speech.payload(first + number) for number in range(len(payloads))]
    assert report.said == round(report.said_share * 5 * report.seconds / PTIME) > 0
    assert (report.streams, report.unheard) == (5, 0)


async def test_a_server_that_sends_nothing_may_do_so() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        await listen_on(reader)

    report = await heard_of(script, replace(SHORT, payload=0, says=PCM))
    assert (report.frames, report.failure) == (0, "")
    assert report.us_per_frame > 0


async def test_newcomers_may_dial_other_paths_and_talk() -> None:
    paths: dict[str, int] = Counter()
    said: dict[str, bytearray] = defaultdict(bytearray)

    async def script(reader: Reader, writer: Writer) -> None:
        path = (await upgrade(reader, writer)).split()[1].decode()
        paths[path] += 1
        keeping = asyncio.create_task(keep(reader, said[path]))
        await paced(writer, [FRAME] * 400)
        await keeping

    plan = replace(SHORT, seconds=1.5, newcomers=5, newcomers_paths="/a,/b?c=d", newcomers_say=RTP)
    report = await heard_of(script, plan)
    assert (report.newcomers, report.newcomers_silent, report.said) == (5, 0, 0)
    assert paths == {"/": 5, "/a": 3, "/b?c=d": 2}
    assert [bool(said[path]) for path in paths] == [False, True, True]


@pytest.mark.parametrize("by_tls", [False, True], ids=["ws", "wss"])
async def test_listeners_that_are_dialled(by_tls: bool, tmp_path: Path) -> None:
    """They are a server then: what they hear is masked, what they say is not."""
    pongs, said = [], []
    files = make_certificate(tmp_path)
    tls, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=files[0])
    tls.load_cert_chain(*files)

    async def call(port: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=trusting if by_tls else None,
            server_hostname="localhost" if by_tls else None,
        )
        writer.write(b"GET /calls/1 HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head  # RFC 6455, section 1.3
        writer.write(mask(b"\x89\x02ab", b"key!"))
        playing = asyncio.create_task(paced(writer, [mask(FRAME, b"key!")] * 400))
        heard = bytearray()
        await keep(reader, heard)
        frames, _ = take_frames(bytes(heard))
        pongs.extend(frame.payload for frame in frames if frame.opcode == PONG)
        said.extend(len(frame.payload) for frame in frames if frame.opcode == BINARY)
        playing.cancel()
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    words: list[str] = []
    loop, listening = asyncio.get_running_loop(), asyncio.Event()

    def tell(word: str) -> None:
        words.append(word)
        loop.call_soon_threadsafe(listening.set)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        measuring = asyncio.create_task(
            asyncio.to_thread(
                measure, Target(port, tls=tls if by_tls else None), HERE, replace(SHORT, says=MULAW), tell, server
            )
        )
        await listening.wait()
        await asyncio.gather(*(call(port) for _ in range(5)))
        report = await measuring
    assert words == ["listening", "measuring"]
    assert pongs == [b"ab"] * 5
    assert set(said) == {160}
    assert (report.streams, report.bad, report.closed, report.unheard) == (5, 0, 0, 0)
    assert report.frames == round(report.share * 5 * report.seconds / PTIME) > 0


async def test_over_tls(tmp_path: Path) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await upgrade(reader, writer)
        await paced(writer, [FRAME * 2] * 200)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path))
    async with served(script, context) as port:
        report = await asyncio.to_thread(measure, Target(port, tls=unverified()), HERE, SHORT)
    assert (report.streams, report.closed, report.bad) == (5, 0, 0)
    assert report.share == pytest.approx(2, abs=0.3 + 2 * late() / report.seconds)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "refused: HTTP/1.1 503 Service Unavailable"),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", "is not to our handshake"),
        (b"HTTP/1.1 1", "closed during the handshake"),
    ],
)
async def test_a_server_that_does_not_let_us_listen(answer: bytes, why: str) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    with pytest.raises(DialError, match=why):
        await heard_of(script)


async def test_nobody_listens() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        """Nobody is called."""

    async with served(script) as port:
        pass
    with pytest.raises(DialError, match="cannot connect"):
        await asyncio.to_thread(measure, Target(port), HERE, SHORT)
