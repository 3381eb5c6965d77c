"""From a folder of prompts to what a caller receives, over real sockets, from a real process."""

import asyncio
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.playout.decoding.decode import decode_file
from tests.server.process import ServerProcess, connected, get, listen, serving, write_config
from tests.sound import convert, speechlike, write_wav
from tests.timing import UNIT, eventually, lag_from_now

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import audioop  # an independent G.711

SAMPLES = 4321  # 27 frames and one sample
FRAMES = 28
SPEECH = speechlike(SAMPLES)
PCM = SPEECH.astype("<i2").tobytes()
PADDED = PCM + bytes(FRAMES * 320 - len(PCM))
AUDIOSOCKET_FRAME = b"\x10\x01\x40" + bytes(320)

PATHS = """
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
[paths."/lingering"]
handler = "playback"
prompt = "speech"
[paths."/rtp"]
handler = "playback"
prompt = "speech"
encapsulation = "rtp"
linger_ms = 0
[paths."/forever"]
handler = "playback"
prompt = "speech"
repeat = "forever"
[paths."/broken"]
handler = "broken_handler:Broken"
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
[paths."/tone/{tone}"]
handler = "tone"
tone = "{tone}"
[paths."/silence"]
handler = "silence"
[paths."/echo"]
handler = "echo"
delay_ms = 20
"""

BROKEN_HANDLER = """
from mediaserver.handlers import Handler
class Broken(Handler):
    async def run(self, call):
        await call.play("speech")
        raise RuntimeError("a fault of the user's own")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    config = write_config(directory, PATHS)
    prompts = directory / "prompts"
    write_wav(prompts / "speech.wav", SPEECH)
    write_wav(prompts / "music/tune.wav", speechlike(16_000, 2))
    (prompts / "raw.sln").write_bytes(PCM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (prompts / "companded.ulaw").write_bytes(audioop.lin2ulaw(PCM, 2))
    (directory / "broken_handler.py").write_text(BROKEN_HANDLER)
    with serving(config, PYTHONPATH=str(directory)) as server:
        yield server


@pytest.fixture(scope="module")
def prompts(server: ServerProcess) -> Path:
    return server.log_file.parent / "prompts"


# -- every encapsulation and framing ---------------------------------------------------------------


def rtp_payloads(messages: list[bytes], payload_type: int, size: int) -> bytes:
    """The payloads of RTP packets, whose headers are checked by RFC 3550."""
    headers = [struct.unpack(">BBHII", message[:12]) for message in messages]
    first = headers[0]
    for n, (flags, kind, sequence, timestamp, ssrc) in enumerate(headers):
        assert flags == 0x80
        assert kind == payload_type | (0x80 if n == 0 else 0)  # the marker on the first packet of the talkspurt
        assert sequence == (first[2] + n) % 2**16
        assert timestamp == (first[3] + 160 * n) % 2**32
        assert ssrc == first[4]
    assert {len(message) for message in messages} == {12 + size}
    return b"".join(message[12:] for message in messages)


def first_of(value: int, values: list[int]) -> int:
    """Where a value is first, or the end: a peer that is late enough has heard all before it sends anything."""
    return values.index(value) if value in values else len(values)


@pytest.mark.parametrize("query", ["", "?framing=pcm", "?encapsulation=sln", "?encapsulation=audiosocket"])
async def test_raw_pcm(server: ServerProcess, query: str) -> None:
    heard = await listen(server.url(f"/play/speech{query}"))
    assert len(heard.messages) == FRAMES
    assert {len(message) for message in heard.messages} == {320}
    assert b"".join(heard.messages) == PADDED
    assert heard.close_code == 1000


async def test_audiosocket_messages(server: ServerProcess) -> None:
    heard = await listen(server.url("/play/speech?framing=message"))
    assert {message[:3] for message in heard.messages} == {b"\x10\x01\x40"}
    assert b"".join(message[3:] for message in heard.messages) == PADDED
    assert heard.close_code == 1000


@pytest.mark.parametrize(
    ("said", "header"),
    [
        (AUDIOSOCKET_FRAME, b"\x10\x01\x40"),  # a well-formed AudioSocket message
        (b"\x01\x00\x10" + bytes(16), b"\x10\x01\x40"),
        (bytes(320), b""),  # anything else
        (b"hello", b""),
    ],
)
async def test_framing_auto_answers_in_the_peer_s_framing(
    server: ServerProcess, said: bytes, header: bytes
) -> None:
    lag = lag_from_now(server.process.pid)
    heard = await listen(server.url("/play/speech"), say_first=said)
    assert b"".join(message.removeprefix(header) for message in heard.messages) == PADDED
    sizes = {len(message) for message in heard.messages}
    # The first frame waits for what the peer says for 10 ms. If nothing has come by then, no frame has a header.
    assert sizes == {320 + len(header)} or (sizes == {320} and lag() > 0.01)


@pytest.mark.parametrize("query", ["?encapsulation=rtp", "?encapsulation=rtp&rtp_payload=pcmu"])
async def test_rtp_pcmu(server: ServerProcess, query: str) -> None:
    heard = await listen(server.url(f"/play/speech{query}"))
    assert rtp_payloads(heard.messages, 0, 160) == audioop.lin2ulaw(PADDED, 2)
    assert len(heard.messages) == FRAMES
    assert heard.close_code == 1000


async def test_rtp_pcma(server: ServerProcess) -> None:
    heard = await listen(server.url("/play/speech?encapsulation=rtp&rtp_payload=pcma"))
    assert rtp_payloads(heard.messages, 8, 160) == audioop.lin2alaw(PADDED, 2)


async def test_rtp_l16_is_little_endian(server: ServerProcess) -> None:
    heard = await listen(server.url("/rtp?rtp_payload=l16"))
    assert rtp_payloads(heard.messages, 96, 320) == PADDED


async def test_rtp_auto_sends_what_the_peer_sends(server: ServerProcess) -> None:
    packet = struct.pack(">BBHII", 0x80, 96, 1, 320, 0) + bytes(320)
    lag = lag_from_now(server.process.pid)
    heard = await listen(server.url("/rtp"), say_first=packet)
    kinds = [message[1] & 0x7F for message in heard.messages]
    first_l16 = first_of(96, kinds)
    assert first_l16 <= 2 + lag() / 0.02  # PCMU for as long as nothing had come
    assert set(kinds[first_l16:]) <= {96}
    assert b"".join(message[12:] for message in heard.messages[first_l16:]) == PADDED[320 * first_l16 :]


# -- every format ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["speech", "raw"])
async def test_8_khz_linear_files_are_bit_exact(server: ServerProcess, name: str) -> None:
    heard = await listen(server.url(f"/play/{name}"))
    assert b"".join(heard.messages) == PADDED


async def test_companded_files_are_decoded_by_g711(server: ServerProcess) -> None:
    heard = await listen(server.url("/play/companded"))
    expected = audioop.ulaw2lin(audioop.lin2ulaw(PCM, 2), 2)
    assert b"".join(heard.messages) == expected + bytes(FRAMES * 320 - len(expected))


def make_44k_stereo(directory: Path, ffmpeg: str) -> Path:
    return write_wav(directory / "stereo.wav", speechlike(2 * 44_100), 44_100, channels=2)


def make_mulaw_wav(directory: Path, ffmpeg: str) -> Path:
    source = write_wav(directory.parent / "source.wav", SPEECH)
    return convert(ffmpeg, source, directory / "mulaw.wav", "-c:a", "pcm_mulaw")


def make_mp3(directory: Path, ffmpeg: str) -> Path:
    source = write_wav(directory.parent / "source.wav", speechlike(44_100), 44_100)
    return convert(ffmpeg, source, directory / "song.mp3")


@pytest.mark.parametrize("make", [make_44k_stereo, make_mulaw_wav, make_mp3])
async def test_decoded_formats_are_sent_sample_by_sample(tmp_path: Path, ffmpeg: str, make) -> None:
    config = write_config(tmp_path, PATHS.split('[paths."/lingering"]')[0])
    path = make(tmp_path / "prompts", ffmpeg)
    pcm = decode_file(path).pcm
    frames = -(-len(pcm) // 320)
    with serving(config) as server:
        heard = await listen(server.url(f"/play/{path.stem}"))
    assert len(heard.messages) == frames
    assert b"".join(heard.messages) == pcm + bytes(frames * 320 - len(pcm))
    assert np.abs(np.frombuffer(pcm, "<i2")).max() > 1000


# -- how a stream goes -----------------------------------------------------------------------------


async def test_frames_come_every_20_ms_and_the_first_within_a_ptime(server: ServerProcess) -> None:
    lag = lag_from_now(server.process.pid)
    heard = await listen(server.url("/forever"), frames=100)
    assert heard.times[0] - heard.upgraded < 0.02 + 0.1 * UNIT + lag()
    elapsed = heard.times[-1] - heard.times[0]
    # The first two come at once: the lead is one.
    assert elapsed == pytest.approx(98 * 0.020, abs=0.02 * UNIT + lag())


async def test_silence_lingers_before_the_close(server: ServerProcess) -> None:
    heard = await listen(server.url("/lingering"))
    assert b"".join(heard.messages) == PADDED + bytes(10 * 320)
    assert heard.close_code == 1000


async def test_repeat_by_query(server: ServerProcess) -> None:
    heard = await listen(server.url("/play/speech?repeat=3"))
    expected = 3 * PCM
    assert b"".join(heard.messages) == expected + bytes(-len(expected) % 320)


async def test_tone_silence_and_hold(server: ServerProcess) -> None:
    tone, silence, hold = await asyncio.gather(
        listen(server.url("/tone/busy"), frames=10),
        listen(server.url("/silence"), frames=10),
        listen(server.url("/hold"), frames=10),
    )
    assert any(b"".join(tone.messages))
    assert b"".join(silence.messages) == bytes(3200)
    tune = 2 * speechlike(16_000, 2).astype("<i2").tobytes()
    assert tune.find(b"".join(hold.messages)) % 320 == 0  # somewhere on the shared timeline


async def test_extensions_are_never_negotiated(server: ServerProcess) -> None:
    async with connected(server.url("/silence"), compress=15) as websocket:
        assert not websocket.compress
        assert "Sec-WebSocket-Extensions" not in websocket._response.headers


# -- how a stream ends -----------------------------------------------------------------------------


async def ended(server: ServerProcess, path: str, before: int) -> dict:
    """The summary line of a path's next stream."""

    def of_path() -> list[dict]:
        return [line for line in server.events("stream ended") if line["path"] == path]

    await eventually(lambda: len(of_path()) > before)
    return of_path()[-1]


def count(server: ServerProcess, path: str) -> int:
    return sum(line["path"] == path for line in server.events("stream ended"))


async def test_a_stream_is_summed_up_in_one_log_line(server: ServerProcess) -> None:
    before, lag = count(server, "/play/speech"), lag_from_now(server.process.pid)
    await listen(server.url("/play/speech?token=secret"))
    line = await ended(server, "/play/speech", before)
    assert {key: line[key] for key in ("frames", "underruns", "reason", "code", "wire")} == {
        "frames": FRAMES,
        "underruns": 0,
        "reason": "finished",
        "code": 1000,
        "wire": "audiosocket/pcm",
    }
    assert line["late"] + line["skipped"] <= lag() // 0.02  # the ticks for which the machine itself was late
    assert line["duration_s"] == pytest.approx(FRAMES * 0.02, abs=0.1 * UNIT + lag())
    assert line["peer"].startswith("127.0.0.1:")
    assert "secret" not in server.log_file.read_text()


async def test_the_peer_closes(server: ServerProcess) -> None:
    before = count(server, "/forever")
    await listen(server.url("/forever"), frames=5)
    line = await ended(server, "/forever", before)
    assert (line["reason"], line["code"]) == ("peer-closed", 1000)


async def test_the_peer_vanishes_and_the_log_hints_at_the_framing(server: ServerProcess) -> None:
    before = count(server, "/forever")
    async with connected(server.url("/forever")) as websocket:
        await websocket.receive_bytes()
        connection = websocket._response.connection
        assert connection is not None
        assert isinstance(connection.transport, asyncio.Transport)
        connection.transport.abort()
    line = await ended(server, "/forever", before)
    assert (line["reason"], line["code"]) == ("peer-vanished", 1006)

    def levels() -> list[str]:
        hints = (hint for hint in server.log if hint["event"] == "peer dropped stream after first frames")
        return [hint["level"] for hint in hints if hint["stream"] == line["stream"]]

    await eventually(levels)  # it is logged after the end
    assert levels() == ["warning"]


async def test_a_handler_that_raises_costs_its_own_stream_only(server: ServerProcess) -> None:
    before = count(server, "/broken")
    beside = asyncio.create_task(listen(server.url("/forever"), frames=80))
    heard = await listen(server.url("/broken"))
    assert heard.close_code == 1011
    assert b"".join(heard.messages) == PADDED
    line = await ended(server, "/broken", before)
    assert (line["reason"], line["code"]) == ("error", 1011)
    failure = server.events("handler failed")[-1]
    assert failure["stream"] == line["stream"]
    assert "a fault of the user's own" in str(failure["exception"])
    other = await beside
    loop = PCM * (80 * 320 // len(PCM) + 1)
    assert b"".join(other.messages) == loop[: 80 * 320]


async def test_garbage_costs_its_own_stream_only(server: ServerProcess) -> None:
    async with connected(server.url("/forever")) as websocket:
        for garbage in (b"", b"\x00", b"\x10\xff\xff", bytes(5000)):
            await websocket.send_bytes(garbage)
        await websocket.send_str("text is never media")
        for _ in range(10):
            assert len(await websocket.receive_bytes()) == 320


async def test_metrics_count_what_happened(server: ServerProcess) -> None:
    await listen(server.url("/play/speech"))
    _, text = await get(server.admin_url("/metrics"))
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["mediaserver_frames_total"]) >= FRAMES
    assert float(values['mediaserver_sessions_started_total{path="/play/{prompt:.+}"}']) >= 1
    assert float(values['mediaserver_sessions_ended_total{path="/play/{prompt:.+}",reason="finished"}']) >= 1
    assert float(values["mediaserver_cache_bytes"]) > FRAMES * 324
    assert values["mediaserver_prompt_errors"] == "0.0"
    assert values["mediaserver_prompts"] == "4.0"
    assert "mediaserver_late_ticks_total" in values


RTP_HEADS = [struct.pack(">BBHII", 0x80, 0, n, n * 160, 7) for n in range(8)]
ECHOES = {
    "audiosocket&framing=pcm": ([b""] * 8, bytes),
    "audiosocket&framing=message": ([b"\x10\x01\x40"] * 8, bytes),
    "audiosocket&framing=auto": ([b"\x10\x01\x40"] * 8, bytes),
    "sln": ([b""] * 8, bytes),
    "rtp": (RTP_HEADS, lambda pcm: audioop.lin2ulaw(pcm, 2)),
}


@pytest.mark.parametrize("encapsulation", ECHOES)
async def test_the_first_frame_of_a_peer_is_echoed(server: ServerProcess, encapsulation: str) -> None:
    """The first of several frames that come in one segment with the handshake."""
    heads, coded = ECHOES[encapsulation]
    sound = coded(PCM[: 8 * 320])
    size = len(sound) // 8
    said = [head + sound[n * size : (n + 1) * size] for n, head in enumerate(heads)]
    async with connected(server.url(f"/echo?encapsulation={encapsulation}")) as websocket:
        for message in said:
            await websocket.send_bytes(message)
        heard: list[bytes] = []
        silent = {coded(bytes(320))}
        async for answer in websocket:
            payload = answer.data[-size:]
            if payload not in silent:
                assert len(answer.data) == len(heads[0]) + size  # while the silence before may have no framing yet
                heard.append(payload)
            if len(heard) == 8:
                break
    assert b"".join(heard) == sound


async def test_a_path_plays_its_prompts_at_its_gain(tmp_path: Path) -> None:
    """The first call, and one that finds the frames made."""
    paths = '[paths."/as-is"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n'
    paths += paths.replace("/as-is", "/soft") + "gain = -6\n"
    quiet = SPEECH // 4
    write_wav(tmp_path / "prompts/a.wav", quiet)
    with serving(write_config(tmp_path, paths)) as server:
        for path, factor in (("/soft", 10 ** (-6 / 20)), ("/soft", 10 ** (-6 / 20)), ("/as-is", 1.0)):
            heard = await listen(server.url(path))
            samples = np.frombuffer(b"".join(heard.messages), "<i2")[:SAMPLES]
            assert np.array_equal(samples, np.rint(quiet * factor))


async def test_callers_hear_prompts_in_their_language(tmp_path: Path) -> None:
    paths = '[paths."/german"]\nhandler = "playback"\nprompt = "welcome"\nlinger_ms = 0\nlanguage = "de"\n'
    paths += paths.replace("/german", "/plain").replace('language = "de"\n', "")
    names = ("welcome", "welcome.de", "en_US/welcome")
    sounds = {name: speechlike(SAMPLES, seed) for seed, name in enumerate(names)}
    for name, sound in sounds.items():
        write_wav(tmp_path / f"prompts/{name}.wav", sound)
    with serving(write_config(tmp_path, paths)) as server:
        for url, name in (
            ("/plain", "welcome"),
            ("/plain?language=de", "welcome.de"),
            ("/plain?language=de-AT", "welcome.de"),
            ("/plain?language=fr", "welcome"),
            ("/german", "welcome.de"),
            ("/german?language=fr", "welcome"),
            ("/german?language=en-us", "en_US/welcome"),
        ):
            heard = b"".join((await listen(server.url(url))).messages)
            assert heard[: 2 * SAMPLES] == sounds[name].astype("<i2").tobytes(), url
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        refused = await get(server.url("/plain?language=german", "http"), headers=upgrade)
        assert refused == (400, "language: should be a BCP 47 tag, such as en or en-GB (it is 'german')\n")
