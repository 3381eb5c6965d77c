"""The messages of each dialect, to the letter, and the commands that are parsed from applications' messages."""

import base64
import json
from typing import Any

import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.dialect import CallFacts, Clear, Dialect, HangUp, Mark, Message, Play
from mediaserver.wire.dialects.plain import PlainDialect
from mediaserver.wire.dialects.twilio import TwilioDialect, call_sid, stream_sid
from tests.sound import speechlike

CALL = CallFacts(
    "7ca7b09ff407",
    "652af662-eb45-11ee-b1a5-6fde165f9226",
    "/bot/sales",
    "calls/652af662-eb45-11ee-b1a5-6fde165f9226",
    {"bot": "sales", "path": "not this one"},
)
STREAM_SID = "MZ" + "000000000000" + "7ca7b09ff407" + "00000000"
CALL_SID = "CA652af662eb4511eeb1a56fde165f9226"
FRAME = to_bytes(speechlike(160))
CODES = g711.mulaw_encode(from_bytes(FRAME))


def test_twilios_messages_are_those_of_its_documentation() -> None:
    twilio = TwilioDialect(CALL)
    said: list[Message] = [
        *twilio.serialize_start(),
        twilio.serialize_audio(FRAME, 0),
        twilio.serialize_audio(FRAME, 40),
    ]
    said += [twilio.serialize_digit("5"), twilio.serialize_mark("my label"), twilio.serialize_stop()]
    assert list(map(json.loads, said)) == [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "accountSid": "AC" + 32 * "0",
                "streamSid": STREAM_SID,
                "callSid": CALL_SID,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {
                    "stream": CALL.stream,
                    "call": CALL.call,
                    "path": "/bot/sales",
                    "resource": CALL.resource,
                    "bot": "sales",
                },
            },
            "streamSid": STREAM_SID,
        },
        *(
            {
                "event": "media",
                "sequenceNumber": number,
                "media": {
                    "track": "inbound",
                    "chunk": chunk,
                    "timestamp": ms,
                    "payload": base64.b64encode(CODES).decode(),
                },
                "streamSid": STREAM_SID,
            }
            for number, chunk, ms in [("2", "1", "0"), ("3", "2", "40")]
        ),
        {
            "event": "dtmf",
            "streamSid": STREAM_SID,
            "sequenceNumber": "4",
            "dtmf": {"track": "inbound_track", "digit": "5"},
        },
        {"event": "mark", "sequenceNumber": "5", "streamSid": STREAM_SID, "mark": {"name": "my label"}},
        {
            "event": "stop",
            "sequenceNumber": "6",
            "stop": {"accountSid": "AC" + 32 * "0", "callSid": CALL_SID},
            "streamSid": STREAM_SID,
        },
    ]


@pytest.mark.parametrize(
    ("call", "sid"),
    [
        (CALL, CALL_SID),
        (CallFacts("7ca7b09ff407"), "CA" + 20 * "0" + "7ca7b09ff407"),
        (CallFacts("s", "1753094561.42"), "CAef40fbf2beb8da09435326eb3bb99398"),
        (CallFacts("s", "\ud800x"), "CA1cf118284e107abc746c2994a6a71f04"),  # half a character
        (CallFacts("s", "x" * 300), "CAc2f093e41879e412280bfcc0ed6533e4"),
    ],
)
def test_a_calls_sid_is_derived_from_its_id(call: CallFacts, sid: str) -> None:
    assert len(sid) == 34
    assert call_sid(call) == sid


def test_every_connection_has_a_sid_of_its_own() -> None:
    assert stream_sid(CallFacts("7ca7b09ff407", connection=11)) == "MZ0000000000007ca7b09ff4070000000b"


def test_the_messages_of_the_plain_dialect() -> None:
    plain = PlainDialect(CALL)
    (start,) = plain.serialize_start()
    assert json.loads(start) == {
        "event": "start",
        "stream": CALL.stream,
        "call": CALL.call,
        "path": "/bot/sales",
        "resource": CALL.resource,
        "variables": {"bot": "sales", "path": "not this one"},
        "sampleRate": 8000,
    }
    assert plain.serialize_audio(FRAME, 20) == FRAME
    assert plain.serialize_digit("5") == '{"event":"dtmf","digit":"5"}'
    assert plain.serialize_mark("ü") == '{"event":"mark","name":"\\u00fc"}'
    assert plain.serialize_stop() == '{"event":"stop"}'


@pytest.mark.parametrize(
    ("protocol", "message", "said"),
    [
        (
            TwilioDialect,
            {"event": "media", "streamSid": "MZ1", "media": {"payload": base64.b64encode(CODES).decode()}},
            Play(to_bytes(g711.mulaw_decode(CODES))),
        ),
        (TwilioDialect, {"event": "media", "media": {"payload": ""}}, Play(b"")),
        (TwilioDialect, {"event": "mark", "streamSid": "MZ1", "mark": {"name": "label"}}, Mark("label")),
        (TwilioDialect, {"event": "clear", "streamSid": "MZ1"}, Clear()),
        (TwilioDialect, {"event": "mark", "mark": {"name": "x" * 1024}}, Mark("x" * 1024)),
        (PlainDialect, {"event": "mark", "name": ""}, Mark("")),
        (PlainDialect, b"", Play(b"")),
        (PlainDialect, FRAME[:6], Play(FRAME[:6])),
        (PlainDialect, {"event": "mark", "name": "label"}, Mark("label")),
        (PlainDialect, {"event": "clear"}, Clear()),
        (PlainDialect, {"event": "stop"}, HangUp()),
    ],
)
def test_commands_are_parsed_from_messages_of_applications(
    protocol: type[Dialect], message: Any, said: object
) -> None:
    text = message if isinstance(message, bytes) else json.dumps(message)
    assert protocol(CALL).parse(text) == said  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("protocol", "message", "why"),
    [
        (TwilioDialect, FRAME, "a binary message, which Twilio's protocol does not have"),
        (TwilioDialect, "hello", "a text message that is not JSON"),
        (TwilioDialect, "[" * 100_000, "a text message that is not JSON"),
        (TwilioDialect, "1" * 10_000, "a text message that is not JSON"),
        (TwilioDialect, "[1]", "JSON that is no object"),
        (TwilioDialect, "{}", "a message that is none of media, mark and clear"),
        (TwilioDialect, '{"event": ["media"]}', "a message that is none of media, mark and clear"),
        (TwilioDialect, '{"event": "stop"}', "a message that is none of media, mark and clear"),
        (TwilioDialect, '{"event": "media"}', 'a message without the object "media"'),
        (TwilioDialect, '{"event": "media", "media": "AA=="}', 'a message without the object "media"'),
        (TwilioDialect, '{"event": "media", "media": {}}', "media without a payload"),
        (TwilioDialect, '{"event": "media", "media": {"payload": 1}}', "media without a payload"),
        (TwilioDialect, '{"event": "media", "media": {"payload": "AA"}}', "media whose payload is not base64"),
        (TwilioDialect, '{"event": "media", "media": {"payload": "AA*AA"}}', "media whose payload is not base64"),
        (TwilioDialect, '{"event": "media", "media": {"payload": "AÄ=="}}', "media whose payload is not base64"),
        (TwilioDialect, '{"event": "mark"}', 'a message without the object "mark"'),
        (TwilioDialect, '{"event": "mark", "mark": {"name": 1}}', "a mark without a name of at most 1024 letters"),
        (PlainDialect, FRAME[:5], "5 bytes are not 16-bit PCM"),
        (PlainDialect, "hello", "a text message that is not JSON"),
        (PlainDialect, '{"event": "media"}', "a message that is none of mark, clear and stop"),
        (PlainDialect, '{"event": "mark"}', "a mark without a name of at most 1024 letters"),
        (
            PlainDialect,
            json.dumps({"event": "mark", "name": "x" * 1025}),
            "a mark without a name of at most 1024 letters",
        ),
    ],
)
def test_messages_that_a_dialect_does_not_have_are_errors(
    protocol: type[Dialect], message: Message, why: str
) -> None:
    with pytest.raises(ProtocolError) as error:
        protocol(CALL).parse(message)  # type: ignore[call-arg]
    assert str(error.value) == why
