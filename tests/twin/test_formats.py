"""What a client of the twin gets in each encapsulation, and that a running Asterisk sends the same."""

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.twin import SILENCE, Captured, Twin, captured, captured_speech, coded
from tests.twin.client import CALL, CHUNKS, FRAMES, PCM, dial, receive
from tests.twin.codecs import audioop, decode, encode, pcm_bytes, wire_bytes
from tests.twin.formats import AudioSocket

ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "ulaw": lambda pcm: audioop.lin2ulaw(pcm, 2),
    "alaw": lambda pcm: audioop.lin2alaw(pcm, 2),
    "slin": bytes,
}
HEADERS = {"ulaw": b"\x10\x00\xa0", "alaw": b"\x10\x00\xa0", "slin": b"\x10\x01\x40"}
CODECS = list(ENCODE)


async def heard(twin: Twin, encapsulation: str, pcm: bytes, count: int, **options: Any) -> list[bytes]:
    call = twin.call(CALL, quiet=True, **options)
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        stream.say(pcm)
        got = await receive(websocket, count)
    assert stream.said == coded(pcm + bytes(-len(pcm) % 320), call.codec)
    return got


@pytest.mark.parametrize("codec", CODECS)
async def test_audiosocket_messages(twin: Twin, codec: str) -> None:
    got = await heard(twin, "audiosocket", PCM + b"\1\0", FRAMES + 1, codec=codec)
    expected = [*CHUNKS, b"\1\0" + bytes(318)]
    assert got == [HEADERS[codec] + ENCODE[codec](chunk) for chunk in expected]


@pytest.mark.parametrize("codec", CODECS)
async def test_sln_messages(twin: Twin, codec: str) -> None:
    assert await heard(twin, "sln", PCM, FRAMES, codec=codec) == list(map(ENCODE[codec], CHUNKS))


@pytest.mark.parametrize("payload_type", [0, 96])
@pytest.mark.parametrize("codec", CODECS)
async def test_rtp_packets(twin: Twin, codec: str, payload_type: int) -> None:
    got = await heard(twin, "rtp", PCM, FRAMES, codec=codec, payload_type=payload_type)
    headers = [struct.unpack(">BBHII", packet[:12]) for packet in got]
    first, step = headers[0][2], 320 if codec == "slin" else 160
    assert headers == [(0x80, payload_type, (first + n) & 0xFFFF, step * (n + 1), 0) for n in range(FRAMES)]
    assert [packet[12:] for packet in got] == list(map(ENCODE[codec], CHUNKS))


async def test_mu_law_is_what_a_client_gets_that_asks_for_nothing(twin: Twin) -> None:
    call = twin.call(CALL)
    async with dial(twin) as websocket:
        assert await receive(websocket, 3) == [b"\x10\x00\xa0" + b"\xff" * 160] * 3
        assert call.payload_type == 96


async def test_the_uuid_may_come_first(twin: Twin) -> None:
    twin.call(CALL, uuid_first=True)
    async with dial(twin) as websocket:
        first, second = await receive(websocket, 2)
    assert first.hex() == "010010" + CALL.replace("-", "")
    assert second == b"\x10\x00\xa0" + b"\xff" * 160


@pytest.mark.parametrize("samples", [116, 138])
@pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])
async def test_a_file_ends_in_a_short_message(twin: Twin, encapsulation: str, samples: int) -> None:
    call = twin.call(CALL, quiet=True)
    pcm = PCM[: 320 + 2 * samples]
    async with dial(twin, encapsulation=encapsulation) as websocket:
        stream = await call.stream()
        stream.say_file(pcm)
        stream.say(PCM[:320])
        got = await receive(websocket, 3)
    header = {"audiosocket": 3, "sln": 0, "rtp": 12}[encapsulation]
    assert [len(message) - header for message in got] == [160, samples, 160]
    assert b"".join(message[header:] for message in got) == audioop.lin2ulaw(pcm + PCM[:320], 2)
    assert stream.said == coded(pcm + PCM[:320])
    if encapsulation == "rtp":
        assert [struct.unpack_from(">I", packet, 4)[0] for packet in got] == [160, 160 + samples, 320 + samples]


# the real one


def audio(name: str) -> list[Captured]:
    first, *rest = captured(name)
    assert (first.t_ms, first.kind, first.payload) == (0.0, 0x01, bytes(16))
    return rest


@pytest.mark.parametrize("codec", ["ulaw", "slin"])
def test_asterisk_sends_what_the_twin_sends(codec: str) -> None:
    messages = audio(f"media-stream-{codec}")
    ours = AudioSocket(codec).say(SILENCE)
    assert {(each.kind, len(each.payload)) for each in messages} == {(ours[0], len(ours) - 3)}
    assert {each.payload for each in messages[:30]} == {ours[3:]}  # silence
    assert all(18 < after.t_ms - before.t_ms < 22 for before, after in itertools.pairwise(messages))


def test_asterisk_s_slin_is_what_mu_law_left_of_the_speech() -> None:
    pcm = b"".join(each.payload for each in audio("media-stream-slin"))
    assert pcm == bytes(30 * 320) + coded(captured_speech()) + bytes(35 * 320)


def test_asterisk_s_mu_law_is_that_of_the_speech() -> None:
    """One frame of silence is in the midst of it, where the captured stream had a hole."""
    payload = b"".join(each.payload for each in audio("media-stream-ulaw"))
    speech, hole = encode(captured_speech(), "ulaw"), 34 * 160
    assert payload == b"\xff" * (30 * 160) + speech[:hole] + b"\xff" * 160 + speech[hole:] + b"\xff" * (34 * 160)
    before, after = (30 * 160, 30 * 160 + hole), (31 * 160 + hole, 31 * 160 + len(speech))
    pcm = decode(payload[slice(*before)] + payload[slice(*after)], "ulaw")
    assert pcm == coded(captured_speech())


async def test_the_twin_says_the_speech_as_asterisk_did(twin: Twin) -> None:
    messages = [each for each in audio("media-stream-ulaw") if each.payload.strip(b"\xff")]
    call = twin.call(CALL, quiet=True)
    async with dial(twin) as websocket:
        (await call.stream()).say(captured_speech(), paced=False)
        got = await receive(websocket, len(messages))
    assert got == [struct.pack(">BH", each.kind, len(each.payload)) + each.payload for each in messages]


def test_sizes_of_frames() -> None:
    sizes = {"ulaw": 160, "alaw": 160, "slin": 320, "slin12": 480, "slin16": 640, "slin24": 960, "slin32": 1280}
    assert {codec: wire_bytes(codec) for codec in [*sizes, "slin48"]} == sizes | {"slin48": 1920}
    assert (wire_bytes("ulaw", 10), wire_bytes("slin16", 60), pcm_bytes("ulaw", 40)) == (80, 1920, 640)


def test_coded_is_what_a_receiver_hears() -> None:
    assert coded(PCM, "slin") == PCM
    assert coded(PCM) == coded(coded(PCM)) != PCM
    assert coded(SILENCE) == SILENCE
    assert set(coded(SILENCE, "alaw")[::2]) == {8}  # A-law has no zero
    with pytest.raises(ValueError, match="g722"):
        coded(PCM, "g722")
