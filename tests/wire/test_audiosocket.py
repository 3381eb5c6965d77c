"""AudioSocket messages as Asterisk writes and reads them."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket
from mediaserver.wire.audiosocket import Kind, Message, StreamParser
from mediaserver.wire.codec import CodecDetector
from mediaserver.wire.depacketizers import AudioSocketDepacketizer
from mediaserver.wire.events import Audio, Digit, Event, Fault, Hangup, Identity

MESSAGES = st.builds(Message, st.integers(0, 255), st.binary(max_size=400))
FRAME = bytes(range(256)) + bytes(64)


def events_of(data: bytes) -> list[Event]:
    """What one binary message of AudioSocket framing says."""
    return AudioSocketDepacketizer(CodecDetector(), framed=True).depacketize(data, 0.0)


def test_a_frame_of_sound():
    assert audiosocket.serialize(Message(Kind.SLIN, FRAME)) == b"\x10\x01\x40" + FRAME


def test_the_length_is_big_endian():
    assert audiosocket.header(0x10, 320) == b"\x10\x01\x40"
    assert audiosocket.header(0x01, 16) == b"\x01\x00\x10"
    assert audiosocket.header(0xFF, 65535) == b"\xff\xff\xff"


def test_the_largest_payload_fits_and_one_byte_more_does_not():
    largest = Message(Kind.SLIN, bytes(65535))
    assert audiosocket.parse(audiosocket.serialize(largest)) == [largest]
    with pytest.raises(ValueError, match=r"^an AudioSocket payload of 65536 bytes is over 65535$"):
        audiosocket.serialize(Message(Kind.SLIN, bytes(65536)))


def test_at_most_256_messages_in_one_are_parsed():
    assert audiosocket.parse(audiosocket.HANGUP * 256) == [Message(Kind.HANGUP)] * 256
    with pytest.raises(ProtocolError, match=r"^more than 256 AudioSocket messages in one$"):
        audiosocket.parse(audiosocket.HANGUP * 257)


@given(MESSAGES)
def test_parse_undoes_serialize(message):
    assert audiosocket.parse(audiosocket.serialize(message)) == [message]


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_messages_one_after_another_are_all_found(messages):
    assert audiosocket.parse(b"".join(map(audiosocket.serialize, messages))) == messages


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty AudioSocket message"),
        (b"\x10", "AudioSocket header cut short: 1 of 3 bytes"),
        (b"\x10\x01", "AudioSocket header cut short: 2 of 3 bytes"),
        (b"\x10\x00\x04ab", "AudioSocket payload cut short: 2 of 4 bytes"),
        (b"\x00\x00\x00\x10", "AudioSocket header cut short: 1 of 3 bytes"),
    ],
)
def test_errors_name_the_missing_bytes(data, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        audiosocket.parse(data)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"\x10\x01\x40" + FRAME, True),
        (b"\x00\x00\x00", True),
        (b"", False),
        (b"\x10\x00", False),
        (b"\x10\x01\x40" + FRAME[:-1], False),
        (b"\x10\x01\x40" + FRAME + b"\0", False),
        (FRAME, False),
    ],
)
def test_is_message_goes_by_the_length_field(data, whole):
    assert audiosocket.is_message(data) is whole


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"\x10\x01\x40" + FRAME, FRAME),
        (b"\x10\x00\x01a", b"a"),
        (b"\x10\x00\x00", None),  # no sound
        (b"\x10\x00\x02a", None),
        (b"\x10\x01\x40" + FRAME + b"\x00\x00\x00", None),
        (b"\x11\x00\x01a", None),  # at another rate
        (b"\x10\x00", None),
        (b"", None),
    ],
)
def test_single_audio_payload_is_of_one_audio_message_and_nothing_else(data, payload):
    assert audiosocket.single_audio_payload(data) == payload


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"\x10\x01\x40" + FRAME, Audio(FRAME)),
        (b"\x03\x00\x015", Digit("5")),
        (b"\x03\x00\x01#", Digit("#")),
        (b"\x01\x00\x10" + bytes(range(16)), Identity(UUID("00010203-0405-0607-0809-0a0b0c0d0e0f"))),
        (b"\x00\x00\x00", Hangup()),
        (b"\xff\x00\x01\x04", Fault(4)),
        (b"\xff\x00\x00", Fault(0)),
    ],
    ids=["audio", "digit", "hash", "uuid", "hangup", "error", "error without code"],
)
def test_each_kind_has_its_event(data, event):
    assert events_of(data) == [event]


def test_several_messages_are_several_events_in_order():
    data = b"\x01\x00\x10" + bytes(16) + b"\x10\x00\x02ab" + b"\x00\x00\x00"
    assert events_of(data) == [Identity(UUID(int=0)), Audio(b"ab"), Hangup()]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x10\x00\x00", "0 bytes are not 16-bit PCM"),
        (b"\x10\x00\x03abc", "3 bytes are not 16-bit PCM"),
        (b"\x12\x00\x03abc", "3 bytes are not 16-bit PCM"),
        (b"\x19\x00\x02ab", "AudioSocket message of kind 0x19 with 2 bytes"),
        (b"\x03\x00\x0212", "AudioSocket message of kind 0x03 with 2 bytes"),
        (b"\x03\x00\x01\xb5", "AudioSocket message of kind 0x03 with 1 bytes"),
        (b"\x03\x00\x01\n", "AudioSocket message of kind 0x03 with 1 bytes"),  # no key of any phone
        (b"\x01\x00\x0f" + bytes(15), "AudioSocket message of kind 0x01 with 15 bytes"),
        (b"\x42\x00\x01a", "AudioSocket message of kind 0x42 with 1 bytes"),
    ],
)
def test_messages_that_asterisk_never_sends_are_errors(data, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        events_of(data)


@given(st.binary(max_size=400) | MESSAGES.map(audiosocket.serialize))
@example(b"")
def test_arbitrary_bytes_raise_nothing_but_protocol_error(data):
    try:
        messages = audiosocket.parse(data)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            events_of(data)
        return
    assert b"".join(map(audiosocket.serialize, messages)) == data
    try:
        events = events_of(data)
    except ProtocolError:
        return
    assert len(events) <= len(messages)  # wideband sound is passed on in whole frames


# On a TCP byte stream


def in_pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Data cut into pieces of these sizes, one after another; the rest is the last piece."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(st.lists(MESSAGES, min_size=1, max_size=6), st.lists(st.integers(1, 500), max_size=12))
def test_the_stream_parser_cuts_whole_messages_from_pieces_of_any_size(messages, sizes):
    whole = [audiosocket.serialize(message) for message in messages]
    parser = StreamParser()
    found = [message for piece in in_pieces(b"".join(whole), sizes) for message in parser.feed(piece)]
    assert found == whole
    assert parser.pending == 0


def test_an_incomplete_message_is_pending():
    parser = StreamParser()
    assert parser.pending == 0
    assert list(parser.feed(b"\x10")) == []
    assert list(parser.feed(b"\x01\x40" + FRAME[:100])) == []
    assert parser.pending == 103
    assert list(parser.feed(FRAME[100:] + b"\x00\x00")) == [b"\x10\x01\x40" + FRAME]
    assert list(parser.feed(b"\x00")) == [audiosocket.HANGUP]


def test_a_complete_message_is_not_pending_while_it_is_yielded():
    parser = StreamParser()
    assert list(parser.feed(b"\x10\x00")) == []
    messages = parser.feed(b"\x02ab" + audiosocket.HANGUP)
    assert next(messages) == b"\x10\x00\x02ab"
    assert parser.pending == 0
    assert list(messages) == [audiosocket.HANGUP]


def test_an_empty_wideband_message_does_not_hide_the_messages_after_it():
    inbound = AudioSocketDepacketizer(CodecDetector(), framed=True)
    for data in (b"\x12\x00\x00", b"\x12\x00\x01x"):
        with pytest.raises(ProtocolError):
            inbound.depacketize(data, 0.0)
        assert inbound.frame_size == 0
    inbound.depacketize(b"\x12\x00\x02ab", 0.0)
    assert inbound.frame_size == 0
    inbound.depacketize(b"\x12\x02\x80" + bytes(640), 0.0)
    assert inbound.frame_size == 643
