"""RFC 6455 masking: the bytes of masked frames, and their keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.playout.pacing.transport import way_to_write
from mediaserver.transport.masking import MaskedTransport, mask, mask_together, mask_with_random_key
from mediaserver.wire import websocket
from tests.transport.fake_transport import FakeTransport

KEYS = st.binary(min_size=4, max_size=4)
LENGTHS = [0, 1, 3, 4, 5, 125, 126, 320, 65535, 65536]


def unmask(message):
    """Payload of a masked message, byte by byte as RFC 6455, section 5.3, spells it out."""
    assert message[0] == 0x82
    assert message[1] & 0x80
    start = 2 + {126: 2, 127: 8}.get(message[1] & 0x7F, 0)
    key, masked = message[start : start + 4], message[start + 4 :]
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))


def test_the_example_of_the_rfc():
    key = bytes.fromhex("37fa213d")
    assert mask(websocket.binary(b"Hello"), key) == bytes.fromhex("82 85 37fa213d 7f9f4d5158")


@pytest.mark.parametrize("length", LENGTHS)
def test_masking_keeps_the_length_and_hides_the_payload_at_every_size(length):
    payload = bytes(i * 7 & 0xFF for i in range(length))
    plain = websocket.binary(payload)
    masked = mask(plain, b"\x01\x02\x03\x04")
    start = len(plain) - length
    assert len(masked) == len(plain) + 4
    assert masked[1] == plain[1] | 0x80
    assert masked[2:start] == plain[2:start]
    assert masked[start : start + 4] == b"\x01\x02\x03\x04"
    assert unmask(masked) == payload


@given(payload=st.binary(max_size=400), key=KEYS)
def test_masking_is_the_per_byte_xor_of_the_rfc(payload, key):
    assert unmask(mask(websocket.binary(payload), key)) == payload


@given(payload=st.binary(max_size=400), key=KEYS)
def test_masking_twice_with_one_key_gives_the_payload_back(payload, key):
    once = mask(websocket.binary(payload), key)
    hidden = once[len(once) - len(payload) :]
    twice = mask(websocket.binary(hidden), key)
    assert twice[len(twice) - len(payload) :] == payload


def test_a_key_of_zeros_changes_nothing():
    assert mask(websocket.binary(b"abcdef"), bytes(4)) == b"\x82\x86\0\0\0\0abcdef"


@pytest.mark.parametrize(
    ("length", "head"), [(0, "81 80"), (126, "81 fe 007e"), (65536, "81 ff 0000000000010000")]
)
def test_a_text_is_masked_as_one(length, head):
    key = b"\x20\x20\x20\x20"
    assert mask(websocket.text("a" * length), key) == bytes.fromhex(head) + key + b"A" * length


def test_every_frame_has_a_fresh_key() -> None:
    frames = [mask_with_random_key(websocket.binary(b"Hello")) for _ in range(1000)]
    assert {unmask(frame) for frame in frames} == {b"Hello"}
    # Two of 1000 random keys are alike in one of 8600 runs, and that is no fault.
    assert len({frame[2:6] for frame in frames}) >= 998


@pytest.mark.parametrize("count", [1, 15, 16, 100])
@pytest.mark.parametrize("lengths", [[320], [0], [5], [125, 126], [172, 320, 323], [70_000, 1]])
def test_frames_that_are_masked_together_are_as_masked_alone(count: int, lengths: list[int]) -> None:
    payloads = [bytes((n + i) % 251 for i in range(lengths[n % len(lengths)])) for n in range(count)]
    frames = list(map(websocket.binary, payloads))
    masked = mask_together(frames)
    for frame, payload, each in zip(frames, payloads, masked, strict=True):
        start = len(frame) - len(payload)
        assert unmask(each) == payload
        assert each == mask(frame, each[start : start + 4])


def test_frames_that_are_masked_together_have_fresh_keys() -> None:
    masked = [frame for _ in range(10) for frame in mask_together([websocket.binary(b"Hello")] * 100)]
    assert len({frame[2:6] for frame in masked}) >= 998


def test_a_masked_transport_masks_what_is_written():
    transport = FakeTransport()
    masked = MaskedTransport(transport)
    masked.write(websocket.binary(b"alone"))
    assert unmask(transport.written) == b"alone"
    masked.write(b"")  # no frame
    encode, write = way_to_write(masked)
    assert encode is not None
    for frame in encode([websocket.binary(b"together")] * 20):
        transport.written = b""
        write(frame)
        assert unmask(transport.written) == b"together"


@pytest.mark.parametrize("write", ["write", "write_masked"])
def test_a_frame_for_a_closing_connection_is_refused(write):
    transport = FakeTransport()
    transport.close()
    with pytest.raises(ConnectionResetError):
        getattr(MaskedTransport(transport), write)(websocket.binary(b"late"))
    assert transport.written == b""
