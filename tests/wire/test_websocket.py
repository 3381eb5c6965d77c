"""RFC 6455 framing: the bytes of whole messages."""

import pytest

from mediaserver.transport.masking import mask
from mediaserver.wire import websocket


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


@pytest.mark.parametrize("length", [126, 160, 163, 172, 320, 323, 643, 65_535])
@pytest.mark.parametrize("masked", [True, False])
def test_the_payloads_of_many_messages_are_taken_at_once(length: int, masked: bool) -> None:
    payloads = [bytes((n + k) % 256 for k in range(length)) for n in range(3)]
    messages = [websocket.binary(payload) for payload in payloads]
    if masked:
        keys = (b"\0\0\0\0", b"\1\2\3\4", b"\xff\xfe\0\x80")
        messages = [mask(message, key) for message, key in zip(messages, keys, strict=True)]
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
    assert websocket.message_size(length, masked=True) == len(mask(message, b"abcd"))


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
