"""The text messages of Asterisk's WebSocket channel, as a running Asterisk sends and accepts them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.errors import ProtocolError
from mediaserver.wire import chan_websocket
from mediaserver.wire.chan_websocket import Command, ControlEvent

PLAIN = (
    "MEDIA_START connection_id:lab channel:WebSocket/lab/0x7f0000000000 channel_id:ws-1a2b3c4d format:ulaw"
    " optimal_frame_size:160 ptime:20"
)
JSON = (
    '{"event":"MEDIA_START","connection_id":"lab","channel":"WebSocket/lab/0x7f0000000000",'
    '"channel_id":"ws-1a2b3c4d","format":"slin","optimal_frame_size":320,"ptime":20,"channel_variables":'
    '{"MEDIA_WEBSOCKET_CONNECTION_ID":"lab","MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE":"320"}}'
)


def test_media_start_in_plain_words():
    start = chan_websocket.parse(PLAIN)
    assert chan_websocket.is_media_start(PLAIN)
    assert (start.name, start.is_json) == ("MEDIA_START", False)
    assert start.fields["channel"] == "WebSocket/lab/0x7f0000000000"
    assert start.fields["channel_id"] == "ws-1a2b3c4d"
    found = start.media_format()
    assert (found.name, found.codec, found.rate, found.frame_bytes) == ("ulaw", "mulaw", 8000, 160)


def test_media_start_in_json():
    start = chan_websocket.parse(JSON)
    assert chan_websocket.is_media_start(JSON)
    assert (start.name, start.is_json) == ("MEDIA_START", True)
    assert start.variables["MEDIA_WEBSOCKET_CONNECTION_ID"] == "lab"
    found = start.media_format()
    assert (found.name, found.codec, found.rate, found.frame_bytes) == ("slin", "slin", 8000, 320)


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("DTMF_END digit:5 channel_id:ws-1", "DTMF_END", {"digit": "5", "channel_id": "ws-1"}),
        ('{"event":"DTMF_END","channel_id":"ws-1","digit":"#"}', "DTMF_END", {"digit": "#", "channel_id": "ws-1"}),
        ("MEDIA_MARK_PROCESSED before", "MEDIA_MARK_PROCESSED", {"correlation_id": "before"}),
        (
            '{"event":"MEDIA_MARK_PROCESSED","channel_id":"ws-1","correlation_id":"m1"}',
            "MEDIA_MARK_PROCESSED",
            {"channel_id": "ws-1", "correlation_id": "m1"},
        ),
        (
            "ERROR channel_id:ws-1 error_text:FLUSH_MEDIA not supported in passthrough mode",
            "ERROR",
            {"channel_id": "ws-1", "error_text": "FLUSH_MEDIA not supported in passthrough mode"},
        ),
        ("QUEUE_DRAINED", "QUEUE_DRAINED", {}),
        ("MEDIA_XOFF", "MEDIA_XOFF", {}),
        ("STATUS channel:PJSIP/a:5060", "STATUS", {"channel": "PJSIP/a:5060"}),
        (
            '{"event":"ERROR","channel_id":"ws-1","error_text":"Unable to parse JSON command"}',
            "ERROR",
            {"channel_id": "ws-1", "error_text": "Unable to parse JSON command"},
        ),
    ],
)
def test_texts_other_than_media_start(text, name, fields):
    event = chan_websocket.parse(text)
    assert (event.name, event.fields) == (name, fields)
    assert not chan_websocket.is_media_start(text)


@pytest.mark.parametrize(
    ("name", "rate", "ptime_bytes"),
    [("slin12", 12_000, 480), ("slin16", 16_000, 640), ("slin44", 44_100, 1764), ("slin192", 192_000, 7680)],
)
def test_wideband_formats(name, rate, ptime_bytes):
    found = ControlEvent("MEDIA_START", {"format": name}).media_format()
    assert (found.codec, found.rate, found.ptime_bytes, found.frame_bytes) == (
        "slin",
        rate,
        ptime_bytes,
        ptime_bytes,
    )
    assert bytes(found.ptime_bytes) == bytes(found.frame_bytes)


@pytest.mark.parametrize("name", ["opus", "g722", "", "SLIN"])
def test_an_unsupported_format_is_named_in_the_error(name):
    with pytest.raises(ProtocolError, match=f'^the format "{name}" is none of slin, slin12, '):
        ControlEvent("MEDIA_START", {"format": name}).media_format()


def test_a_start_without_a_format_is_an_error():
    with pytest.raises(ProtocolError, match=r'^the format "" is none of slin, slin12, '):
        ControlEvent("MEDIA_START").media_format()


@pytest.mark.parametrize("size", ["0", "-1", "x", "1e3", "99999999999", "8001", "00000160"])
def test_an_impossible_frame_size_is_an_error(size):
    with pytest.raises(ProtocolError, match=r"^MEDIA_START with an optimal_frame_size of"):
        ControlEvent("MEDIA_START", {"format": "ulaw", "optimal_frame_size": size}).media_format()


@pytest.mark.parametrize(("name", "most"), [("ulaw", 8000), ("slin", 16_000), ("slin48", 96_000)])
def test_a_frame_may_be_from_one_byte_to_a_second_long(name, most):
    for size in (1, most):
        fields = {"format": name, "optimal_frame_size": str(size)}
        assert ControlEvent("MEDIA_START", fields).media_format().frame_bytes == size
    with pytest.raises(ProtocolError, match=r"^MEDIA_START with an optimal_frame_size of"):
        ControlEvent("MEDIA_START", {"format": name, "optimal_frame_size": str(most + 1)}).media_format()


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (bytes(range(160)), "ulaw"),
        (b"\xff" * 160, "ulaw"),
        (b"\xd5" * 160, "alaw"),
        (bytes(range(160)) * 2, "slin"),
        (bytes(320), "slin"),
        (bytes(480), "slin12"),
        (bytes(range(160)) * 4, "slin16"),
        (bytes(1764), "slin44"),
        (bytes(7680), "slin192"),
        (bytes(161), None),
        (bytes(641), None),
        (b"", None),
    ],
)
def test_the_format_is_guessed_from_a_frame_until_it_is_named(message, name):
    found = chan_websocket.guess_format(message)
    assert (found.name if found is not None else None) == name
    if found is not None:
        assert bytes(found.frame_bytes) == bytes(found.ptime_bytes) == bytes(len(message))


def test_texts_up_to_the_limit_are_parsed_and_longer_ones_are_not():
    for length, fits in ((16_384, True), (16_385, False)):
        plain = "STATUS " + "x" * (length - 7)
        of_json = '{"event":"MEDIA_START","a":"' + "b" * (length - 30) + '"}'
        assert len(plain) == len(of_json) == length
        assert chan_websocket.is_media_start(of_json) is fits
        for text in (plain, of_json):
            if fits:
                chan_websocket.parse(text)
            else:
                with pytest.raises(ProtocolError, match=rf"^a text of {length} letters$"):
                    chan_websocket.parse(text)


def test_only_so_many_words_of_a_text_are_kept():
    event = chan_websocket.parse("STATUS " + " ".join(f"w{n}:{n}" for n in range(100)))
    assert list(event.fields.items()) == [(f"w{n}", str(n)) for n in range(63)]


def test_the_words_of_an_error_may_have_colons_and_come_last():
    event = chan_websocket.parse("ERROR channel_id:ws-1 error_text:no such command: FLUSH error_text:again")
    assert event.fields == {"channel_id": "ws-1", "error_text": "no such command: FLUSH error_text:again"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a text that is no event of Asterisk's"),
        ("_", "a text that is no event of Asterisk's"),
        ("hello: there", "a text that is no event of Asterisk's"),
        ("{", "a text message that is not JSON"),
        ('{"event":5}', "JSON without an event"),
        ("X" * 20_000, "a text of 20000 letters"),
    ],
)
def test_texts_that_are_no_event_are_errors(text, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        chan_websocket.parse(text)


@given(st.text(max_size=300) | st.text(max_size=100).map(lambda rest: "{" + rest))
def test_arbitrary_texts_raise_nothing_but_protocol_error(text):
    chan_websocket.is_media_start(text)
    try:
        event = chan_websocket.parse(text)
        event.media_format()
    except ProtocolError:
        pass


def test_only_printable_characters_of_fields_are_kept():
    fields = {"channel_id": "a\ud800\n\x1bb", "channel": "x" * 300, "format": ["slin"], "ptime": 20}
    variables = {"a\ud800": "b", "c": 1.5, "d": {"e": 1}, "f": None}
    event = chan_websocket.parse(json.dumps({"event": "MEDIA_START", **fields, "channel_variables": variables}))
    assert event.fields == {"channel_id": "ab", "channel": "x" * 256, "ptime": "20"}
    assert event.variables == {"a": "b", "c": "1.5"}


@pytest.mark.parametrize("depth", range(950, 1050))
def test_deeply_nested_json_is_an_event_or_a_protocol_error(depth):
    text = '{"event":"MEDIA_START","channel_variables":{"a":' + "[" * depth + "]" * depth + "}}"
    with contextlib.suppress(ProtocolError):
        assert chan_websocket.parse(text).variables == {}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("MEDIA_START", True),
        ("MEDIA_STARTED", False),
        ('{"channel_variables":{"a":"' + "b" * 2000 + '"},"event":"MEDIA_START"}', True),
        ('{"event":"STATUS","of":"MEDIA_START"}', False),
        ('{"event":"MEDIA_START"', False),
    ],
)
def test_media_start_is_recognised_by_its_event(text, is_one):
    assert chan_websocket.is_media_start(text) is is_one


def test_commands_are_plain_or_json_as_the_channel_is():
    assert chan_websocket.serialize(Command.ANSWER, as_json=False) == "ANSWER"
    assert chan_websocket.serialize(Command.HANGUP, as_json=True) == '{"command":"HANGUP"}'
