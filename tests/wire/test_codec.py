"""Detection of the codec of a stream's payloads, and that no behaviour of a network changes its result."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.codec import Codec, CodecDetector, InboundCodec
from tests.sound import speechlike

SPEECH = to_bytes(speechlike(1600, 3))
MULAW = g711.mulaw_encode(from_bytes(SPEECH))
LINEAR_FRAMES = [SPEECH[at : at + 320] for at in range(0, len(SPEECH), 320)]
MULAW_FRAMES = [MULAW[at : at + 160] for at in range(0, len(MULAW), 160)]


def decoded(payloads, codec=None):
    """What a stream makes of payloads, as PCM."""
    codec = codec or CodecDetector()
    return b"".join(map(codec.decode, payloads))


def test_160_bytes_are_mulaw_and_320_are_linear_from_the_first_payload_on():
    assert decoded(LINEAR_FRAMES) == SPEECH
    assert decoded(MULAW_FRAMES) == to_bytes(g711.mulaw_decode(MULAW))


@pytest.mark.parametrize(
    ("silence", "codec"),
    [
        (b"\xff" * 160, "mulaw"),
        (b"\x7f" * 160, "mulaw"),
        (b"\xd5" * 160, "alaw"),
        (b"\x55" * 160, "alaw"),
        (b"\0" * 320, "slin"),
        (b"\0" * 160, "slin"),  # 10 ms
    ],
)
def test_one_payload_of_silence_decides_the_codec(silence, codec):
    stream = CodecDetector()
    assert not any(stream.decode(silence)[1::2]) or codec == "alaw"
    assert (str(stream), stream.decided) == (codec, True)
    for payload in (bytes(range(160)), bytes(range(160)) * 2, b"\0" * 320, b"\xff" * 160):
        stream.detect(payload) if not stream.decided else None
    assert str(stream) == codec


@pytest.mark.parametrize("size", [138, 320, 480, 640])
@pytest.mark.parametrize("byte", [b"\xff", b"\x55"])
def test_linear_samples_of_one_value_are_not_taken_for_silence_in_g711(byte, size):
    stream = CodecDetector()
    assert stream.decode(byte * size) == byte * size
    assert not stream.decided
    assert decoded(LINEAR_FRAMES, stream) == SPEECH


def test_silence_of_another_length_confirms_the_expected_codec():
    stream = CodecDetector(expected=Codec.MULAW)
    stream.decode(b"\xff" * 80)
    assert (str(stream), stream.decided) == ("mulaw", True)


@pytest.mark.parametrize("size", [2, 76, 116, 138, 240, 1000])
def test_short_payloads_are_in_the_stream_s_codec_before_and_after_it_is_decided(size):
    dialled = CodecDetector(expected=Codec.MULAW)
    short = MULAW[:size] if size <= len(MULAW) else MULAW
    assert dialled.decode(short) == to_bytes(g711.mulaw_decode(short))
    decoded(MULAW_FRAMES, dialled)
    assert dialled.decode(short) == to_bytes(g711.mulaw_decode(short))
    linear = CodecDetector()
    decoded(LINEAR_FRAMES, linear)
    assert linear.decode(SPEECH[:size]) == SPEECH[:size]


def test_a_dialled_stream_starts_as_mulaw_and_is_linear_if_the_platform_is():
    dialled = CodecDetector(expected=Codec.MULAW)
    assert str(dialled) == "mulaw"
    assert decoded(LINEAR_FRAMES, dialled) == SPEECH
    assert (str(dialled), dialled.decided) == ("slin", True)


@pytest.mark.parametrize("expected", [None, Codec.MULAW])
def test_three_payloads_of_a_size_decide_the_codec_whatever_was_expected(expected):
    stream = CodecDetector(expected=expected)
    decided = []
    for payload in MULAW_FRAMES[:3]:
        stream.decode(payload)
        decided.append(stream.decided)
    assert decided == [False, False, True]


def test_payloads_of_alternating_sizes_decide_nothing():
    stream = CodecDetector()
    for payload in (MULAW_FRAMES[0], LINEAR_FRAMES[0]) * 5:
        stream.decode(payload)
    assert not stream.decided


def test_a_single_odd_payload_among_the_first_costs_only_itself():
    stream = CodecDetector()
    stream.decode(LINEAR_FRAMES[0])  # two frames of µ-law in one message, say
    assert decoded(MULAW_FRAMES, stream) == to_bytes(g711.mulaw_decode(MULAW))
    assert stream.decided


def test_a_decided_codec_does_not_change():
    stream = CodecDetector()
    decoded(MULAW_FRAMES[:3], stream)
    assert stream.decided
    for payload in (LINEAR_FRAMES[0], b"\0" * 320, b"\xd5" * 160):
        assert stream.decode(payload) == to_bytes(g711.mulaw_decode(payload))


def test_160_bytes_may_be_alaw():
    stream = CodecDetector()
    codes = g711.alaw_encode(from_bytes(SPEECH))
    heard = b"".join(stream.decode(codes[at : at + 160], Codec.ALAW) for at in range(0, len(codes), 160))
    assert heard == to_bytes(g711.alaw_decode(codes))


@pytest.mark.parametrize("setting", ["slin", "mulaw", "alaw"])
def test_a_configured_codec_is_decided_from_the_beginning(setting):
    stream = CodecDetector(InboundCodec(setting), Codec.MULAW)
    assert (str(stream), stream.decided) == (setting, True)


@pytest.mark.parametrize("size", [0, 1, 159, 319])
def test_half_a_sample_of_linear_is_an_error(size):
    with pytest.raises(ProtocolError, match=f"^{size} bytes are not 16-bit PCM$"):
        CodecDetector(InboundCodec.SLIN).decode(bytes(size))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_payload_without_sound_is_an_error_in_every_codec(codec):
    with pytest.raises(ProtocolError, match=r"^0 bytes are not 16-bit PCM$"):
        codec.decode(b"")


@given(st.lists(st.binary(max_size=330) | st.just(MULAW_FRAMES[0]) | st.just(LINEAR_FRAMES[0]), max_size=30))
@example([b""])
def test_arbitrary_bytes_raise_nothing_but_protocol_error(payloads):
    stream = CodecDetector()
    for payload in payloads:
        try:
            pcm = stream.decode(payload)
        except ProtocolError:
            assert not payload or len(payload) % 2
            continue
        assert len(pcm) in (len(payload), 2 * len(payload))
