"""AudioSocket over TCP: real sockets, what is sent and received byte for byte, and how a stream ends."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from tests.faults.beside import scrape
from tests.server.plain_peer import CALL, HANGUP, SILENCE, UUID_MESSAGE, PlainPeer, dialled, message
from tests.server.process import ServerProcess, audiosocket_ports, get, serving, write_config
from tests.sound import level_db, read_wav, sine, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually, late
from tests.twin import AsteriskAudioSocket, coded

SAMPLES = speechlike(160 * 40)
SOUND = to_bytes(SAMPLES)
PATHS = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
[paths."/tell/{name}"]
handler = "tell:Tell"
encapsulation = "rtp"
[paths."/break"]
handler = "tell:Broken"
[paths."/short"]
handler = "silence"
time_limit = 0.3
[paths."/silence"]
handler = "silence"
[paths."/record"]
handler = "record"
directory = "{directory}/recordings"
file = "{{id}}.wav"
finish_on = "#"
linger_ms = 0
[paths."/echo"]
handler = "echo"
delay_ms = 20
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "long"
keys.1 = {{ play = "speech", hangup = true }}
"""
TELL = """
from mediaserver.handlers import Handler

class Tell(Handler):
    async def run(self, call):
        stream = call.stream
        call.close(1000, f"{stream.call} {sorted(stream.variables.items())} {dict(stream.query)} {stream.path}")

class Broken(Handler):
    async def run(self, call):
        raise LookupError("ours")
"""
PORTS = [
    *("/play/speech", "/play/long", "/play/speech?repeat=3", "/tell/me?x=1"),
    *("/break", "/short", "/silence", "/record", "/menu", "/echo"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    (directory / "tell.py").write_text(TELL)
    paths = PATHS.replace("{directory}", str(directory)).replace("{{", "{").replace("}}", "}")
    config = write_config(directory, audiosocket_ports(*PORTS) + paths)
    write_wav(directory / "prompts/speech.wav", SAMPLES)
    write_wav(directory / "prompts/long.wav", speechlike(160 * 500, 7))
    with serving(config, PYTHONPATH=str(directory)) as server:
        yield server


@contextlib.asynccontextmanager
async def calling(server: ServerProcess, path: str) -> AsyncIterator[PlainPeer]:
    async with dialled(server.ports[path]) as peer:
        yield peer


async def ended(server: ServerProcess, peer: PlainPeer) -> dict:
    """The log line of the end of a peer's stream, and not of an earlier one with its port."""
    lines: list[dict] = []

    def found() -> bool:
        since = [
            line
            for line in server.events("stream ended")
            if datetime.fromisoformat(line["timestamp"]) >= peer.began
        ]
        lines[:] = [line for line in since if line["peer"] == peer.name]
        return bool(lines)

    await eventually(found)
    (line,) = lines
    return line


async def test_the_frame_right_behind_the_uuid_is_echoed(server: ServerProcess) -> None:
    """Both come in one segment, before a handler runs."""
    sound = SOUND[: 8 * 320]
    said = b"".join(message(0x10, sound[at : at + 320]) for at in range(0, len(sound), 320))
    async with dialled(server.ports["/echo"], UUID_MESSAGE + said) as peer:
        frames: list[bytes] = []
        while len(frames) < 8:
            frames += filter(any, [await peer.hear(1)])
        assert b"".join(frames) == sound


# -- what is played --------------------------------------------------------------------------------


async def test_a_prompt_comes_byte_for_byte_and_ends_in_order(server: ServerProcess) -> None:
    async with calling(server, "/play/speech") as peer:
        assert await peer.played() == SOUND
    line = await ended(server, peer)
    told = {key: line[key] for key in ("path", "wire", "call", "reason", "code", "frames")}
    assert told == {
        "path": "/play/speech",
        "wire": "audiosocket/tcp",
        "call": str(CALL),
        "reason": "finished",
        "code": 1000,
        "frames": 40,
    }


async def test_a_prompt_is_ready_before_the_first_call(server: ServerProcess) -> None:
    before = await scrape(server)
    async with calling(server, "/play/long") as peer:
        await peer.hear(2)
    after = await scrape(server)
    looked_up = {kind: after[f"mediaserver_cache_{kind}_total"] for kind in ("hits", "misses")}
    assert looked_up["misses"] == before["mediaserver_cache_misses_total"]
    assert looked_up["hits"] == before["mediaserver_cache_hits_total"] + 1


async def test_the_end_is_no_reset_while_the_peer_goes_on_sending(server: ServerProcess) -> None:
    async with calling(server, "/play/speech") as peer, peer.talking(every=0.003):
        assert await peer.played() == SOUND  # and then nothing more
        assert await peer.reader.read() == b""
        peer.say(SILENCE)
        await peer.writer.drain()


async def test_a_port_may_have_a_query(server: ServerProcess) -> None:
    async with calling(server, "/play/speech?repeat=3") as peer:
        assert await peer.played() == 3 * SOUND


async def test_a_handler_knows_the_uuid_and_what_the_port_s_path_says(server: ServerProcess) -> None:
    async with calling(server, "/tell/me?x=1") as peer:
        assert await peer.played() == b""
    why = f"{CALL} [('name', 'me'), ('uuid', '{CALL}'), ('x', '1')] {{'x': '1'}} /tell/me"
    assert (await ended(server, peer))["why"] == why


@pytest.mark.parametrize(("path", "reason", "code"), [("/break", "error", 1011), ("/short", "time-limit", 1008)])
async def test_every_end_of_ours_is_a_hang_up_in_order(
    server: ServerProcess, path: str, reason: str, code: int
) -> None:
    async with calling(server, path) as peer, peer.talking():
        assert set(await peer.played()) <= {0}
    line = await ended(server, peer)
    assert (line["reason"], line["code"]) == (reason, code)


async def test_the_uuid_may_come_in_pieces_with_audio_behind_it(server: ServerProcess) -> None:
    async with dialled(server.ports["/record"], b"") as peer:
        data = UUID_MESSAGE + 50 * message(0x10, SOUND[:320]) + message(3, b"#")
        for at in range(40):
            peer.say(data[at : at + 1])
            await peer.writer.drain()
            await asyncio.sleep(0)
        peer.say(data[40:])
        await peer.played()
    assert (await ended(server, peer))["received"] == 51


# -- what is heard ---------------------------------------------------------------------------------


async def test_keys_lead_through_a_menu(server: ServerProcess) -> None:
    async with AsteriskAudioSocket(server.ports["/menu"]) as asterisk:
        await eventually(lambda: len(asterisk.heard) > 20 * 320)
        asterisk.press("1")
        assert await asterisk.over() == "hung up by the server"
        assert SOUND in asterisk.heard
        assert not asterisk.reset
        assert asterisk.errors == []


async def test_a_recording_of_slin_is_what_the_peer_sent(server: ServerProcess) -> None:
    recorded, said = await record(server, "slin", SOUND)
    assert recorded in said
    assert SOUND in recorded


async def test_a_recording_of_mu_law_under_kind_0x10(server: ServerProcess) -> None:
    recorded, said = await record(server, "ulaw", SOUND)
    assert recorded in said
    assert coded(SOUND, "ulaw") in recorded


async def test_a_recording_of_a_wideband_channel(server: ServerProcess) -> None:
    tone = (sine(440, 1.0, 16_000) * 32_767).astype("<i2")
    recorded, _ = await record(server, "slin16", tone.tobytes())
    samples = np.frombuffer(recorded, "<i2")
    loud = np.flatnonzero(np.abs(samples) > 1000)
    assert len(samples) % 160 == 0
    assert loud[-1] - loud[0] == pytest.approx(8000, abs=20)  # at 8 kHz, of the same length
    middle = samples[loud[0] + 1000 : loud[0] + 7000] / 32_768
    assert level_db(middle, 440) == pytest.approx(-6, abs=0.2)


async def record(server: ServerProcess, format_: str, pcm: bytes) -> tuple[bytes, bytes]:
    """What was recorded, and what the peer sent with the silence around it."""
    async with AsteriskAudioSocket(server.ports["/record"], format=format_) as asterisk:
        await eventually(lambda: len(asterisk.said_at) > 10 and asterisk.heard_at)
        before = len(asterisk.errors)  # silence at 8 kHz, which was sent until the channel's rate was known
        assert before == 0 or format_ == "slin16"
        asterisk.say(pcm)
        await eventually(lambda: not asterisk.speaking)
        await asyncio.sleep(0.1)
        asterisk.press("#")
        assert await asterisk.over() == "hung up by the server"
        assert len(asterisk.errors) == before
        assert not asterisk.reset
    files = [line["file"] for line in server.events("recording done")]
    return to_bytes(read_wav(Path(files[-1]))), asterisk.said


async def test_wideband_audio_and_a_stall_of_the_network_are_no_flood(server: ServerProcess) -> None:
    """Five seconds at 192 kHz at once, two megabytes, are parsed in slices, and the stream goes on."""
    frame = message(0x18, bytes(7680))
    async with calling(server, "/silence") as peer:
        for data in (250 * frame, frame):
            peer.say(data)
            await asyncio.wait_for(peer.writer.drain(), PATIENCE)
        while await peer.kind() != 0x18:
            pass
        assert [await peer.kind() for _ in range(25)] == [0x18] * 25  # it is answered in kind
        peer.say(HANGUP)
        assert (await peer.to_the_end()).endswith(HANGUP)
    line = await ended(server, peer)
    assert (line["reason"], line["received"], line["malformed"]) == ("peer-hung-up", 252, 0)


async def test_a_wideband_channel_gets_a_prompt_at_its_own_rate(server: ServerProcess) -> None:
    async with AsteriskAudioSocket(server.ports["/play/speech"], format="slin16") as asterisk:
        assert await asterisk.over() == "hung up by the server"
    heard = np.frombuffer(asterisk.heard, "<i2")[::2].astype(float)  # both are band-limited: every other sample
    rest = np.frombuffer(SOUND, "<i2")[160 * 10 :].astype(float)  # a few frames pass before its rate is known
    assert len(heard) > len(rest)
    fits = [float(np.corrcoef(heard[at : at + len(rest)], rest)[0, 1]) for at in range(len(heard) - len(rest) + 1)]
    assert max(fits) > 0.97  # the filter takes what is above 3.7 kHz


# -- how it ends -----------------------------------------------------------------------------------


async def test_the_peer_hangs_up(server: ServerProcess) -> None:
    async with AsteriskAudioSocket(server.ports["/silence"]) as asterisk:
        await eventually(lambda: len(asterisk.heard) > 320)
        asterisk.hang_up()
        await asterisk.over()
        assert not asterisk.reset
    async with calling(server, "/silence") as peer:
        await peer.hear(5)
        peer.say(HANGUP)
        assert not any(await peer.played())
    line = await ended(server, peer)
    assert (line["reason"], line["code"]) == ("peer-hung-up", 1000)


async def test_a_plain_close_is_an_orderly_end_too(server: ServerProcess) -> None:
    async with calling(server, "/silence") as peer:
        await peer.hear(5)
        peer.writer.write_eof()
        assert not any(await peer.played())
    line = await ended(server, peer)
    assert (line["reason"], line["code"]) == ("peer-closed", 1005)


async def test_a_reset_is_no_orderly_end(server: ServerProcess) -> None:
    async with calling(server, "/silence") as peer:
        await peer.hear(5)
        connection = peer.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.writer.transport.abort()
        line = await ended(server, peer)
    assert (line["reason"], line["code"]) == ("peer-vanished", 1006)


async def test_audio_from_before_the_end_is_still_received(server: ServerProcess) -> None:
    async with calling(server, "/silence") as peer:
        peer.say(100 * SILENCE + HANGUP)
        peer.writer.write_eof()
        await peer.played()
    line = await ended(server, peer)
    assert (line["reason"], line["received"]) == ("peer-hung-up", 101)


async def test_the_operator_hangs_up(server: ServerProcess) -> None:
    async with calling(server, "/silence") as peer, peer.talking():
        await peer.hear(5)
        _, text = await get(server.admin_url("/v1/streams"))
        (stream,) = (each for each in json.loads(text)["streams"] if each["peer"] == peer.name)
        assert (stream["call"], stream["direction"]) == (str(CALL), "in")
        async with aiohttp.ClientSession() as client:
            await client.delete(server.admin_url(f"/v1/streams/{stream['id']}"))
        await peer.played()
    assert (await ended(server, peer))["reason"] == "hung-up"


async def test_a_peer_that_never_closes_is_reset_after_the_close_timeout(server: ServerProcess) -> None:
    """It has five seconds, in which what it sends is read."""
    async with calling(server, "/tell/me?x=1") as peer, peer.talking():
        assert await peer.played() == b""
        began = asyncio.get_running_loop().time()
        await ended(server, peer)
        assert 4 < asyncio.get_running_loop().time() - began < 6 + 4 * UNIT + late()


async def test_a_flood_ends_the_stream(server: ServerProcess) -> None:
    for flood in (SILENCE, message(0x10, b""), message(0x10, bytes(60_000)), message(0xFF, b"x")):
        async with calling(server, "/silence") as peer:
            with contextlib.suppress(ConnectionError):
                async with peer.talking(flood * (100_000 // len(flood)), every=0):
                    await peer.to_the_end()
        assert (await ended(server, peer))["reason"] == "flood", flood[:3]


async def test_a_flood_that_stops_in_time_is_hung_up_in_order(server: ServerProcess) -> None:
    async with calling(server, "/silence") as peer:
        peer.say(700 * SILENCE)
        assert not any(await peer.played())
    line = await ended(server, peer)
    assert (line["reason"], line["code"]) == ("flood", 1006)


async def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        audiosocket_ports("/") + '[paths."/"]\nhandler = "silence"\n',
        max_message_bytes=2000,
    )
    with serving(config) as server:
        for data in (message(0x10, bytes(1998)), message(0x10, bytes(60_000))[:2100]):
            async with calling(server, "/") as peer:
                peer.say(message(0x10, bytes(1997)) + data)
                await peer.played()
            line = await ended(server, peer)
            assert (line["reason"], line["code"], line["received"]) == ("oversize", 1009, 1)


async def test_a_peer_that_reads_nothing_is_dropped(tmp_path: Path) -> None:
    ports = audiosocket_ports("/")
    config = write_config(tmp_path, ports + '[paths."/"]\nhandler = "silence"\n', stall_timeout=0.5)
    with serving(config) as server:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        with connection:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", server.ports["/"]))
            await loop.sock_sendall(connection, UUID_MESSAGE)
            await eventually(lambda: server.events("stream ended"))
        (line,) = server.events("stream ended")
        assert (line["reason"], line["stalls"]) == ("stalled", 1)


# -- many, and at last -----------------------------------------------------------------------------


class _Caller(asyncio.Protocol):
    """Reads all bytes; one that talks sends a frame for each piece that it reads."""

    def __init__(self, *, talks: bool) -> None:
        self.talks, self.heard = talks, bytearray()
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(UUID_MESSAGE)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.talks:
            self.transport.write(SILENCE)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(exc)


async def test_three_hundred_calls_at_once(tmp_path: Path) -> None:
    long = speechlike(160 * 250)
    config = write_config(
        tmp_path, audiosocket_ports("/") + '[paths."/"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n'
    )
    write_wav(tmp_path / "prompts/a.wav", long)
    expected = b"".join(message(0x10, to_bytes(long[at : at + 160])) for at in range(0, len(long), 160)) + HANGUP
    with serving(config) as server:
        loop, callers = asyncio.get_running_loop(), []
        for n in range(300):
            _, caller = await loop.create_connection(
                partial(_Caller, talks=n % 10 == 0), "127.0.0.1", server.ports["/"]
            )
            callers.append(caller)
        errors = await asyncio.wait_for(asyncio.gather(*(caller.over for caller in callers)), PATIENCE)
        assert errors == [None] * 300
        assert all(caller.heard == expected for caller in callers)
        await eventually(lambda: len(server.events("stream ended")) == 300)
        assert {line["reason"] for line in server.events("stream ended")} == {"finished"}


async def test_a_drain_lets_calls_end_and_then_ends_them(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        audiosocket_ports("/speech", "/silence")
        + '[paths."/{prompt:speech}"]\nhandler = "playback"\nprompt = "{prompt}"\nlinger_ms = 0\n'
        + '[paths."/silence"]\nhandler = "silence"\n',
        drain_timeout=1.5,
    )
    write_wav(tmp_path / "prompts/speech.wav", SAMPLES)
    with serving(config) as server:
        async with (
            calling(server, "/speech") as speech,
            calling(server, "/silence") as silence,
            speech.talking(),
            silence.talking(),
        ):
            await speech.hear(5)
            await silence.hear(5)
            server.process.terminate()
            assert await speech.played() == SOUND
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.ports["/silence"])
            assert not any(await silence.played())
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        reasons = {line["path"]: (line["reason"], line["code"]) for line in server.events("stream ended")}
        assert reasons == {"/speech": ("finished", 1000), "/silence": ("drained", 1001)}
