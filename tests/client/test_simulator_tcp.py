"""`call tcp://host:port` as Asterisk: what it sends, byte for byte, and what it reports of a server."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from mediaserver.client import asterisk, simulator
from mediaserver.client.simulator import SimulatedCall
from mediaserver.errors import PeerError
from mediaserver.playout.sources.live import LiveSource
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encapsulation, Framing
from tests.server.preloaded import run
from tests.server.process import audiosocket_ports, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, late, lengths

HANGUP = b"\x00\x00\x00"
SAMPLES = speechlike(160 * 25)
FRAMES = [b"\x10\x01\x40" + to_bytes(SAMPLES[at : at + 160]) for at in range(0, len(SAMPLES), 160)]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Server:
    """The server of one call, which keeps what came."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.heard = b""
        self.times: list[float] = []
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading = asyncio.create_task(self._read(reader))
        with contextlib.suppress(OSError):
            await self._script(reader, writer)
            if not writer.is_closing():
                writer.write_eof()  # to close while the far end speaks would reset the connection
        await reading
        writer.transport.abort()
        self.over.set()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                self.heard += data
                self.times.append(time.monotonic())


@contextlib.asynccontextmanager
async def answering(script: Script) -> AsyncIterator[tuple[Server, str]]:
    """A server that does what a script says, and its URL."""
    server = Server(script)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, f"tcp://127.0.0.1:{port}"
        await asyncio.wait_for(server.over.wait(), PATIENCE)


def playing(frames: Iterable[bytes], end: bytes = HANGUP) -> Script:
    """Send these frames, one every 20 ms, then end."""

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = time.monotonic()
        for n, frame in enumerate(frames):
            await asyncio.sleep(begun + n * 0.02 - time.monotonic())
            writer.write(frame)
        writer.write(end)
        writer.write_eof()
        await asyncio.sleep(0.1)

    return play


def until(enough: Callable[[], bool], sent: list[bytes]) -> Iterator[bytes]:
    """A frame again and again until `enough` is true; `sent` gets them."""
    while not enough():
        sent.append(FRAMES[0])
        yield FRAMES[0]


async def test_the_uuid_is_sent_first_and_then_silence_without_a_break() -> None:
    async with answering(playing(FRAMES)) as (server, url):
        report = await simulator.simulate(SimulatedCall(url))
    assert server.heard[:3] == b"\x01\x00\x10"
    said = server.heard[19:]
    frames = [said[at : at + 323] for at in range(0, len(said), 323)]
    assert set(frames) == {b"\x10\x01\x40" + bytes(320)}
    assert len(frames) == pytest.approx(25, abs=4 + 10 * UNIT + late() / 0.02)
    assert report.problems == []
    told = (report.frames, report.bad_frames, report.encapsulation, report.framing, report.close_code)
    assert told == (25, 0, "audiosocket", "tcp", 1000)
    assert report.first_frame_ms is not None
    assert 0 <= report.first_frame_ms < 1000 * PATIENCE


async def test_each_call_has_a_uuid_of_its_own() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HANGUP)

    uuids = []
    for _ in range(2):
        async with answering(listen) as (server, url):
            report = await simulator.simulate(SimulatedCall(url))
        uuids.append(server.heard[3:19])
        assert report.problems == ["no audio came"]
        assert report.close_code == 1000
    assert uuids[0] != uuids[1]


async def test_a_file_is_sent_once_and_silence_behind_it(tmp_path: Path) -> None:
    sent: list[bytes] = []
    async with answering(playing(until(lambda: len(server.heard) > 19 + 323 * 26, sent))) as (server, url):
        report = await simulator.simulate(
            SimulatedCall(url, send=write_wav(tmp_path / "in.wav", SAMPLES), after=0)
        )
    assert (report.frames, report.problems) == (len(sent), [])
    said = server.heard[19:]
    assert said.startswith(b"".join(FRAMES))
    assert not any(said[323 * 25 + 3 : 323 * 26])


async def test_received_audio_is_recorded(tmp_path: Path) -> None:
    heard: list[bytes] = []
    async with answering(playing(FRAMES)) as (_, url):
        await simulator.simulate(
            SimulatedCall(url, record=tmp_path / "out.wav"), lambda pcm, at: heard.append(pcm)
        )
    assert (read_wav(tmp_path / "out.wav") == SAMPLES).all()
    assert b"".join(heard) == to_bytes(SAMPLES)


async def test_messages_may_come_in_any_pieces() -> None:
    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b"".join(FRAMES) + HANGUP
        for at in range(0, len(data), 100):
            writer.write(data[at : at + 100])
            await asyncio.sleep(0.001)

    async with answering(play) as (_, url):
        report = await simulator.simulate(SimulatedCall(url))
    assert (report.frames, report.bad_frames, report.close_code) == (25, 0, 1000)


@pytest.mark.parametrize(
    "bad",
    [
        b"\x10\x00\xa0" + bytes(160),  # µ-law, which Asterisk does not take
        b"\x10\x02\x80" + bytes(640),
        b"\x12\x02\x80" + bytes(640),
        b"\x10\x00\x00",
        b"\x03\x00\x011",
    ],
)
async def test_messages_that_asterisk_would_not_accept_are_reported(bad: bytes) -> None:
    async with answering(playing([*FRAMES[:5], bad, *FRAMES[5:]])) as (_, url):
        report = await simulator.simulate(SimulatedCall(url))
    assert (report.frames, report.bad_frames) == (26, 1)
    (problem,) = report.problems
    assert problem.startswith("1 messages were not one 20 ms frame: audiosocket over TCP was expected")


async def test_a_server_that_closes_without_a_message_is_reported() -> None:
    async with answering(playing(FRAMES, b"")) as (_, url):
        report = await simulator.simulate(SimulatedCall(url))
    assert (report.frames, report.close_code) == (25, 1006)
    assert report.problems == ["the stream was closed with 1006"]


async def test_a_reset_is_reported() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAMES[0])
        await asyncio.sleep(0.1)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with answering(reset) as (_, url):
        report = await simulator.simulate(SimulatedCall(url))
    assert (report.frames, report.close_code) == (1, 1006)


async def forever(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a frame every 20 ms, and end in order when the peer has closed."""
    while not _.at_eof():
        writer.write(FRAMES[0])
        await asyncio.sleep(0.02)
    writer.write(HANGUP)


async def test_the_simulator_hangs_up_in_order_when_the_time_is_up() -> None:
    async with answering(forever) as (server, url):
        report = await simulator.simulate(SimulatedCall(url, seconds=0.5))
    assert server.heard.endswith(HANGUP)
    assert report.close_code == 1000
    assert report.problems == []
    assert report.duration_s == pytest.approx(0.5, abs=0.1 + 0.5 * UNIT + late())


async def test_a_connection_is_gone_when_it_has_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed even where the server does not close it."""

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()

    monkeypatch.setattr(asterisk, "CLOSE_TIMEOUT", 0.1)
    gone = asyncio.Event()
    async with answering(deaf) as (_, url):
        connection = await asterisk.dial(url, lambda message, at: None)
        plug = connection.transport.get_extra_info("socket").fileno()
        await connection.hang_up()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(plug)
        gone.set()


async def test_what_the_server_sent_before_it_closed_is_heard_though_our_writes_fail() -> None:
    heard: list[bytes] = []

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(FRAMES) + HANGUP)
        writer.close()
        await writer.wait_closed()
        spoken.set()

    spoken = asyncio.Event()
    async with answering(speak) as (_, url):
        connection = await asterisk.dial(url, lambda message, at: heard.append(message))
        connection.transport.pause_reading()
        await asyncio.wait_for(spoken.wait(), PATIENCE)
        while not connection.over.is_set():
            connection.transport.write(FRAMES[0])
            await asyncio.sleep(0)
    assert heard == FRAMES
    assert connection.close_code == 1000


async def test_a_call_given_up_in_the_moment_of_its_answer_is_aborted() -> None:
    async def dialling() -> asterisk.AsteriskConnection:
        connection = await asterisk.dial(url, lambda message, at: None)
        made.append(connection)
        calling.cancel()
        return connection

    made: list[asterisk.AsteriskConnection] = []
    async with answering(forever) as (_, url):
        calling = asyncio.create_task(simulator._dial_unless(asyncio.Event(), dialling()))
        await asyncio.wait((calling,))
        assert calling.cancelled()
        assert made[0].transport.is_closing()


async def test_the_simulator_hangs_up_on_request() -> None:
    hang_up = asyncio.Event()
    async with answering(forever) as (server, url):
        asyncio.get_running_loop().call_later(0.2, hang_up.set)
        report = await simulator.simulate(SimulatedCall(url), hang_up=hang_up)
    assert server.heard.endswith(HANGUP)
    assert report.problems == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("tcp://127.0.0.1", "AudioSocket's URL is a host and a port, as in tcp://127.0.0.1:9000"),
        (
            "tcp://127.0.0.1:9000/audio-stream",
            "AudioSocket's URL is a host and a port, as in tcp://127.0.0.1:9000",
        ),
        ("tcp://:9000", "AudioSocket's URL is a host and a port, as in tcp://127.0.0.1:9000"),
        ("tcp://127.0.0.1:x", "cannot connect"),
        (
            "tcp://127.0.0.1:1",
            r"cannot connect: Connection refused\. Ports of AudioSocket are those of \[audiosocket\]",
        ),
        ("tcp://a..b:9000", "cannot connect"),
    ],
)
async def test_a_server_that_cannot_be_reached(url: str, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        await simulator.simulate(SimulatedCall(url))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what listens there speaks HTTP: dial it by ws://, with a path"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "what listens there speaks TLS: dial it by wss://, with a path"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what listens there does not speak AudioSocket"),
        (b"", "the server closed the connection without an answer"),
    ],
)
async def test_a_port_of_something_else_is_named(answer: bytes, why: str) -> None:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.write_eof()

    async with answering(script) as (_, url):
        with pytest.raises(PeerError, match=rf"^{why}.*`mediaserver check` lists, and the media_ports of"):
            await simulator.simulate(SimulatedCall(url))


@pytest.mark.parametrize(
    "options",
    [{"encapsulation": Encapsulation.RTP}, {"encapsulation": Encapsulation.SLN}, {"framing": Framing.PCM}],
)
async def test_tcp_is_audiosocket_whatever_the_options(options: dict[str, Any]) -> None:
    with pytest.raises(PeerError, match="always speaks AudioSocket in messages"):
        await simulator.simulate(SimulatedCall("tcp://127.0.0.1:9000", **options))


def test_the_command_against_our_own_server(tmp_path: Path) -> None:
    paths = (
        '[paths."/play"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n[paths."/echo"]\nhandler = "echo"\n'
    )
    config = write_config(tmp_path, audiosocket_ports("/play", "/echo") + paths)
    write_wav(tmp_path / "prompts/a.wav", SAMPLES)
    with serving(config) as server:
        out = tmp_path / "out.wav"
        done = run("call", f"tcp://127.0.0.1:{server.ports['/play']}", "--record", out, "--json")
        assert done.returncode == 0
        report = json.loads(done.stdout)
        told = [report[key] for key in ("frames", "bad_frames", "encapsulation", "framing", "close_code")]
        assert told == [25, 0, "audiosocket", "tcp", 1000]
        assert (read_wav(out) == SAMPLES).all()
        said = to_bytes(SAMPLES[160:1600])
        for seconds in lengths(1.5):
            sent = ("--send", tmp_path / "prompts/a.wav", "--after", 0)
            options = [*sent, "--record", out, "--seconds", seconds, "--json"]
            done = run("call", f"tcp://127.0.0.1:{server.ports['/echo']}", *options)
            assert done.returncode == 0
            assert json.loads(done.stdout)["close_code"] == 1000
            if said in (heard := to_bytes(read_wav(out))):
                break
        assert said in heard


@pytest.mark.parametrize("codec", [Codec.MULAW, Codec.ALAW])
async def test_an_asterisk_may_send_another_codec(codec: Codec) -> None:
    """As one that was asked for it does: 160 bytes of kind 0x10, without a break."""
    voice = LiveSource(0, slack_ms=10_000)
    voice.push_audio(to_bytes(SAMPLES))
    async with answering(playing(until(lambda: len(server.heard) > 19 + 163 * 26, []))) as (server, url):
        await simulator.simulate(SimulatedCall(url, voice=voice, codec=codec))
    said = server.heard[19:]
    frames = [said[at : at + 163] for at in range(0, len(said) - len(HANGUP), 163)]
    assert {frame[:3] for frame in frames} == {b"\x10\x00\xa0"}
    encode = {Codec.MULAW: g711.mulaw_encode, Codec.ALAW: g711.alaw_encode}[codec]
    assert b"".join(frame[3:] for frame in frames[:25]) == encode(SAMPLES)
