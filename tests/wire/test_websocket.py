"""RFC 6455 framing: the bytes of whole messages, unmasked and masked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.wire import websocket

KEYS = st.binary(min_size=4, max_size=4)
LENGTHS = [0, 1, 3, 4, 5, 125, 126, 320, 65535, 65536]


def unmask(message):
    """Payload of a masked message, byte by byte as RFC 6455, section 5.3, spells it out."""
    assert message[0] == 0x82
    assert message[1] & 0x80
    start = 2 + {126: 2, 127: 8}.get(message[1] & 0x7F, 0)
    key, masked = message[start : start + 4], message[start + 4 :]
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "82 00"),
        (125, "82 7d"),
        (126, "82 7e 007e"),
        (320, "82 7e 0140"),
        (65535, "82 7e ffff"),
        (65536, "82 7f 0000000000010000"),
    ],
)
def test_headers_by_length(length, header):
    assert websocket.header(length) == bytes.fromhex(header)


def test_a_message_is_its_header_and_its_payload():
    assert websocket.binary(b"Hello") == b"\x82\x05Hello"


def test_the_example_of_the_rfc():
    key = bytes.fromhex("37fa213d")
    assert websocket.mask(websocket.binary(b"Hello"), key) == bytes.fromhex("82 85 37fa213d 7f9f4d5158")


@pytest.mark.parametrize("length", LENGTHS)
def test_masking_keeps_the_length_and_hides_the_payload_at_every_size(length):
    payload = bytes(i * 7 & 0xFF for i in range(length))
    plain = websocket.binary(payload)
    masked = websocket.mask(plain, b"\x01\x02\x03\x04")
    start = len(plain) - length
    assert len(masked) == len(plain) + 4
    assert masked[1] == plain[1] | 0x80
    assert masked[2:start] == plain[2:start]
    assert masked[start : start + 4] == b"\x01\x02\x03\x04"
    assert unmask(masked) == payload


@given(payload=st.binary(max_size=400), key=KEYS)
def test_masking_is_the_per_byte_xor_of_the_rfc(payload, key):
    assert unmask(websocket.mask(websocket.binary(payload), key)) == payload


@given(payload=st.binary(max_size=400), key=KEYS)
def test_masking_twice_with_one_key_gives_the_payload_back(payload, key):
    once = websocket.mask(websocket.binary(payload), key)
    hidden = once[len(once) - len(payload) :]
    twice = websocket.mask(websocket.binary(hidden), key)
    assert twice[len(twice) - len(payload) :] == payload


def test_a_key_of_zeros_changes_nothing():
    assert websocket.mask(websocket.binary(b"abcdef"), bytes(4)) == b"\x82\x86\0\0\0\0abcdef"


def test_the_handshake_of_the_rfc():
    assert websocket.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_control_frames_of_a_server():
    assert websocket.text("é") == b"\x81\x02\xc3\xa9"
    assert websocket.text("x" * 126) == b"\x81\x7e\x00\x7e" + b"x" * 126
    assert (websocket.ping(), websocket.ping(b"12")) == (b"\x89\x00", b"\x89\x0212")
    assert websocket.pong(b"") == b"\x8a\x00"
    assert websocket.pong(b"abc") == b"\x8a\x03abc"
    assert websocket.close(1000) == b"\x88\x02\x03\xe8"
    assert websocket.close(1011, b"why") == b"\x88\x05\x03\xf3why"


@pytest.mark.parametrize(
    ("length", "head"), [(0, "81 80"), (126, "81 fe 007e"), (65536, "81 ff 0000000000010000")]
)
def test_a_text_is_masked_as_one(length, head):
    key = b"\x20\x20\x20\x20"
    assert websocket.mask(websocket.text("a" * length), key) == bytes.fromhex(head) + key + b"A" * length


@pytest.mark.parametrize("length", [126, 160, 163, 172, 320, 323, 643, 65_535])
@pytest.mark.parametrize("masked", [True, False])
def test_the_payloads_of_many_messages_are_taken_at_once(length: int, masked: bool) -> None:
    payloads = [bytes((n + k) % 256 for k in range(length)) for n in range(3)]
    messages = [websocket.binary(payload) for payload in payloads]
    if masked:
        keys = (b"\0\0\0\0", b"\1\2\3\4", b"\xff\xfe\0\x80")
        messages = [websocket.mask(message, key) for message, key in zip(messages, keys, strict=True)]
    assert [row.tobytes() for row in websocket.payloads(messages)] == payloads
    head = websocket.message_head(length, masked=masked)
    assert len(head) == websocket.HEADER_BYTES
    assert all(message.startswith(head) for message in messages)
    assert {websocket.message_size(length, masked=masked)} == set(map(len, messages))
    assert {websocket.is_masked(message) for message in messages} == {masked}


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_the_size_of_a_message(length: int) -> None:
    message = websocket.binary(bytes(length))
    assert websocket.message_size(length, masked=False) == len(message)
    assert websocket.message_size(length, masked=True) == len(websocket.mask(message, b"abcd"))


@pytest.mark.parametrize(
    ("data", "payload", "masked", "found"),
    [
        (b"\x8a\x80abcd", b"", True, True),
        (b"\x8a\x80abcde", b"", True, False),
        (b"\x8a\x80abc", b"", True, False),
        (b"\x8a\x82abcdxy", b"", True, False),
        (b"\x8a\x80abcd", b"12", True, False),
        (b"\x8a\x00", b"", True, False),
        (b"\x8a\x0212", b"12", False, True),
        (b"\x8a\x00", b"", False, True),
        (b"\x8a\x0212", b"13", False, False),
        (b"\x8a\x0212\x8a", b"12", False, False),
        (b"\x89\x0212", b"12", False, False),
    ],
)
def test_a_pong_is_known_by_its_bytes(data: bytes, payload: bytes, masked: bool, found: bool) -> None:
    assert websocket.is_pong(data, payload, masked=masked) is found
