"""The statistics of a depacketizer: frame sizes, counts of samples and packets, jitter, and their reset."""

import struct

import pytest

from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire import rtp
from mediaserver.wire.codec import Codec, CodecDetector, InboundCodec
from mediaserver.wire.depacketizers import (
    AudioSocketDepacketizer,
    Depacketizer,
    RawDepacketizer,
    ResamplingDepacketizer,
    RtpDepacketizer,
)
from mediaserver.wire.events import Audio
from tests.sound import speechlike

LINEAR = struct.pack("<160h", *range(1, 161))
MULAW = bytes(range(160))
SPEECH = [to_bytes(frame) for frame in speechlike(800).reshape(-1, 160)]


def of(setting: str) -> CodecDetector:
    return CodecDetector(InboundCodec(setting))


def packet(payload: bytes, sequence: int = 0, payload_type: int = 96) -> bytes:
    return rtp.serialize(rtp.Packet(payload_type, sequence, 0, 0, payload))


def message(payload: bytes, kind: int = 0x10) -> bytes:
    return bytes((kind, len(payload) >> 8, len(payload) & 255)) + payload


@pytest.mark.parametrize(
    ("inbound", "data", "size"),
    [
        (RawDepacketizer(of("slin")), LINEAR, 320),
        (RawDepacketizer(of("mulaw")), MULAW, 160),
        (AudioSocketDepacketizer(of("slin"), framed=True), message(LINEAR), 323),
        (AudioSocketDepacketizer(of("mulaw"), framed=True), message(MULAW), 163),
        (AudioSocketDepacketizer(of("slin"), framed=False), LINEAR, 320),
        (AudioSocketDepacketizer(of("slin"), framed=None), message(LINEAR), 323),
        (AudioSocketDepacketizer(of("slin"), framed=None), LINEAR, 320),
        (AudioSocketDepacketizer(of("auto"), framed=True), message(bytes(640), 0x12), 643),
        (RtpDepacketizer(of("slin")), packet(LINEAR), 332),
        (RtpDepacketizer(of("mulaw")), packet(MULAW), 172),
        (RtpDepacketizer(of("auto")), packet(MULAW, payload_type=0), 172),
        (RtpDepacketizer(of("auto")), packet(MULAW, payload_type=8), 172),
        (ResamplingDepacketizer(Codec.SLIN, 16_000), bytes(640), 640),
    ],
)
def test_the_size_of_a_message_that_is_one_frame_is_known_once_the_codec_is(
    inbound: Depacketizer, data: bytes, size: int
) -> None:
    assert inbound.frame_size == 0
    inbound.depacketize(data, 0.0)
    assert inbound.frame_size == size == len(data)


@pytest.mark.parametrize(
    ("inbound", "data"),
    [
        (RawDepacketizer(of("auto")), LINEAR),
        (AudioSocketDepacketizer(of("auto"), framed=True), message(LINEAR)),
        (RtpDepacketizer(of("auto")), packet(LINEAR)),
        (RtpDepacketizer(of("auto"), trust_payload_type=False), packet(MULAW, payload_type=0)),
    ],
)
def test_the_frame_size_is_unknown_before_three_payloads_imply_the_codec(
    inbound: Depacketizer, data: bytes
) -> None:
    sizes = []
    for _ in range(3):
        inbound.depacketize(data, 0.0)
        sizes.append(inbound.frame_size)
    assert sizes == [0, 0, len(data)]


def test_a_payload_type_that_names_its_codec_holds_from_the_first_packet_on() -> None:
    inbound = RtpDepacketizer(CodecDetector())
    (audio,) = inbound.depacketize(packet(b"\x2a\xaa", 0, payload_type=8), 0.0)
    assert audio == Audio(struct.pack("<2h", -32256, 32256))
    assert inbound.codec.codec is Codec.ALAW


def test_payload_types_of_a_dialled_stream_name_no_codec() -> None:
    inbound = RtpDepacketizer(CodecDetector(expected=Codec.MULAW), trust_payload_type=False)
    (audio,) = inbound.depacketize(packet(LINEAR, 0, payload_type=0), 0.0)
    assert audio == Audio(LINEAR)


def test_payload_types_of_a_dialled_stream_name_the_law_of_160_bytes() -> None:
    inbound = RtpDepacketizer(CodecDetector(expected=Codec.MULAW), trust_payload_type=False)
    (audio,) = inbound.depacketize(packet(b"\x2a\xaa" * 80, payload_type=8), 0.0)
    assert audio == Audio(struct.pack("<2h", -32256, 32256) * 80)


def test_a_gap_is_concealed_after_packets_have_waited_behind_it() -> None:
    inbound = RtpDepacketizer(of("slin"))
    heard = [
        [
            (event.concealed, event.pcm[-160:])
            for event in inbound.depacketize(packet(SPEECH[n], n), at)
            if isinstance(event, Audio)
        ]
        for n, at in ((0, 0.0), (1, 0.02), (3, 0.04), (4, 0.12))
    ]
    first, second, missing, *rest = [each for events in heard for each in events]
    assert [len(events) for events in heard] == [1, 1, 0, 3]
    assert [first, second, *rest] == [(False, SPEECH[n][-160:]) for n in (0, 1, 3, 4)]  # but for a cross-fade
    assert missing[0]
    assert any(missing[1])  # its last 10 ms are no silence


def test_an_empty_packet_counts_in_the_sequence_and_shows_no_codec() -> None:
    inbound = RtpDepacketizer(CodecDetector())
    heard = [
        inbound.depacketize(packet(payload, n), n / 50) for n, payload in enumerate((b"", LINEAR, b"", LINEAR))
    ]
    assert heard == [[Audio(b"")], [Audio(LINEAR)], [Audio(b"")], [Audio(LINEAR)]]
    assert (inbound.packets.received, inbound.packets.lost, inbound.samples) == (4, 0, 320)
    with pytest.raises(ProtocolError):
        inbound.depacketize(packet(b"", 4, payload_type=101), 0.1)


@pytest.mark.parametrize(
    ("inbound", "data", "samples"),
    [
        (RawDepacketizer(of("slin")), LINEAR, 160),
        (RawDepacketizer(of("mulaw")), MULAW, 160),
        (AudioSocketDepacketizer(of("slin"), framed=True), message(LINEAR) * 2, 320),
        (RtpDepacketizer(of("slin")), packet(LINEAR), 160),
    ],
)
def test_sound_is_counted_in_samples_at_8_khz(inbound: Depacketizer, data: bytes, samples: int) -> None:
    inbound.depacketize(data, 0.0)
    inbound.depacketize(data, 0.02)
    assert inbound.samples == 2 * samples


@pytest.mark.parametrize(
    "inbound", [ResamplingDepacketizer(Codec.SLIN, 16_000), AudioSocketDepacketizer(of("auto"), framed=True)]
)
def test_sound_at_another_rate_is_counted_at_8_khz(inbound: Depacketizer) -> None:
    for n in range(50):
        data = bytes(640) if isinstance(inbound, ResamplingDepacketizer) else message(bytes(640), 0x12)
        for audio in inbound.depacketize(data, n / 50):
            assert isinstance(audio, Audio)
            assert len(audio.pcm) % FRAME_BYTES == 0
    assert 7500 <= inbound.samples <= 8000  # a resampler keeps some for later
    assert inbound.jitter.ms < 2


@pytest.mark.parametrize(
    ("inbound", "data"),
    [
        (ResamplingDepacketizer(Codec.SLIN, 16_000), b"ab"),
        (AudioSocketDepacketizer(of("auto"), framed=True), message(b"ab", 0x12)),
    ],
)
def test_a_message_that_completes_no_frame_at_8_khz_has_no_event(inbound: Depacketizer, data: bytes) -> None:
    assert inbound.depacketize(data, 0.0) == []
    assert inbound.samples == 0


def test_wideband_sound_of_one_kind_goes_on_where_its_last_message_ended() -> None:
    tone = struct.pack("<3200h", *([8000, 8000, -8000, -8000] * 800))
    pieces = AudioSocketDepacketizer(CodecDetector(), framed=True)
    heard = b"".join(
        audio.pcm
        for at in range(0, len(tone), 640)
        for audio in pieces.depacketize(message(tone[at : at + 640], 0x12), 0.0)
        if isinstance(audio, Audio)
    )
    whole = ResamplingDepacketizer(Codec.SLIN, 16_000)
    (at_once,) = whole.depacketize(tone, 0.0)
    assert isinstance(at_once, Audio)
    assert heard == at_once.pcm[: len(heard)]
    assert str(pieces.codec) == "slin"


@pytest.mark.parametrize(
    ("inbound", "data"),
    [
        (RawDepacketizer(of("slin")), [LINEAR] * 3),
        (AudioSocketDepacketizer(of("slin"), framed=True), [message(LINEAR)] * 3),
        (RtpDepacketizer(of("slin")), [packet(LINEAR, n % 2**16) for n in (65_534, 65_535, 65_536)]),
    ],
)
def test_late_messages_are_jitter_and_reset_forgets_it(inbound: Depacketizer, data: list[bytes]) -> None:
    for at, each in zip((0.0, 0.02, 0.056), data, strict=True):
        inbound.depacketize(each, at)
    assert inbound.jitter.ms == pytest.approx(1.0)  # 16 ms late, of which a sixteenth counts
    inbound.reset()
    assert inbound.jitter.ms == 0


def test_packets_before_a_reset_are_not_missing() -> None:
    inbound = RtpDepacketizer(of("slin"))
    inbound.depacketize(packet(LINEAR, 10), 0.0)
    inbound.reset()
    assert inbound.depacketize(packet(LINEAR, 40), 0.6) == [Audio(LINEAR)]
    assert inbound.packets[:3] == (1, 0, 0)


def test_a_message_without_audio_changes_no_statistics() -> None:
    inbound = RtpDepacketizer(of("slin"))
    for data in (b"", packet(b"odd"), packet(LINEAR, payload_type=101)):
        with pytest.raises(ProtocolError):
            inbound.depacketize(data, 0.0)
    assert (inbound.packets.received, inbound.samples, inbound.jitter.ms) == (0, 0, 0)
