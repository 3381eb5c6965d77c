"""What applications are told, to the letter, and what is taken of what they say."""

import base64
import json
from typing import Any

import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.dialects.application import Application, CallFacts, Clear, HangUp, Mark, Message, Play
from mediaserver.wire.dialects.plain import Plain
from mediaserver.wire.dialects.twilio import Twilio, call_sid, stream_sid
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
    twilio = Twilio(CALL)
    said: list[Message] = [*twilio.opening(), twilio.audio(FRAME, 0), twilio.audio(FRAME, 40)]
    said += [twilio.digit("5"), twilio.mark("my label"), twilio.closing()]
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


def test_plain_messages() -> None:
    plain = Plain(CALL)
    (start,) = plain.opening()
    assert json.loads(start) == {
        "event": "start",
        "stream": CALL.stream,
        "call": CALL.call,
        "path": "/bot/sales",
        "resource": CALL.resource,
        "variables": {"bot": "sales", "path": "not this one"},
        "sampleRate": 8000,
    }
    assert plain.audio(FRAME, 20) == FRAME
    assert plain.digit("5") == '{"event":"dtmf","digit":"5"}'
    assert plain.mark("ü") == '{"event":"mark","name":"\\u00fc"}'
    assert plain.closing() == '{"event":"stop"}'


@pytest.mark.parametrize(
    ("protocol", "message", "said"),
    [
        (
            Twilio,
            {"event": "media", "streamSid": "MZ1", "media": {"payload": base64.b64encode(CODES).decode()}},
            Play(to_bytes(g711.mulaw_decode(CODES))),
        ),
        (Twilio, {"event": "media", "media": {"payload": ""}}, Play(b"")),
        (Twilio, {"event": "mark", "streamSid": "MZ1", "mark": {"name": "label"}}, Mark("label")),
        (Twilio, {"event": "clear", "streamSid": "MZ1"}, Clear()),
        (Twilio, {"event": "mark", "mark": {"name": "x" * 1024}}, Mark("x" * 1024)),
        (Plain, {"event": "mark", "name": ""}, Mark("")),
        (Plain, b"", Play(b"")),
        (Plain, FRAME[:6], Play(FRAME[:6])),
        (Plain, {"event": "mark", "name": "label"}, Mark("label")),
        (Plain, {"event": "clear"}, Clear()),
        (Plain, {"event": "stop"}, HangUp()),
    ],
)
def test_what_applications_say(protocol: type[Application], message: Any, said: object) -> None:
    text = message if isinstance(message, bytes) else json.dumps(message)
    assert protocol(CALL).parse(text) == said  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("protocol", "message", "why"),
    [
        (Twilio, FRAME, "a binary message, which Twilio's protocol does not have"),
        (Twilio, "hello", "a text message that is not JSON"),
        (Twilio, "[" * 100_000, "a text message that is not JSON"),
        (Twilio, "1" * 10_000, "a text message that is not JSON"),
        (Twilio, "[1]", "JSON that is no object"),
        (Twilio, "{}", "a message that is none of media, mark and clear"),
        (Twilio, '{"event": ["media"]}', "a message that is none of media, mark and clear"),
        (Twilio, '{"event": "stop"}', "a message that is none of media, mark and clear"),
        (Twilio, '{"event": "media"}', 'a message without the object "media"'),
        (Twilio, '{"event": "media", "media": "AA=="}', 'a message without the object "media"'),
        (Twilio, '{"event": "media", "media": {}}', "media without a payload"),
        (Twilio, '{"event": "media", "media": {"payload": 1}}', "media without a payload"),
        (Twilio, '{"event": "media", "media": {"payload": "AA"}}', "media whose payload is not base64"),
        (Twilio, '{"event": "media", "media": {"payload": "AA*AA"}}', "media whose payload is not base64"),
        (Twilio, '{"event": "media", "media": {"payload": "AÄ=="}}', "media whose payload is not base64"),
        (Twilio, '{"event": "mark"}', 'a message without the object "mark"'),
        (Twilio, '{"event": "mark", "mark": {"name": 1}}', "a mark without a name of at most 1024 letters"),
        (Plain, FRAME[:5], "5 bytes are not 16-bit PCM"),
        (Plain, "hello", "a text message that is not JSON"),
        (Plain, '{"event": "media"}', "a message that is none of mark, clear and stop"),
        (Plain, '{"event": "mark"}', "a mark without a name of at most 1024 letters"),
        (
            Plain,
            json.dumps({"event": "mark", "name": "x" * 1025}),
            "a mark without a name of at most 1024 letters",
        ),
    ],
)
def test_what_no_protocol_has(protocol: type[Application], message: Message, why: str) -> None:
    with pytest.raises(ProtocolError) as error:
        protocol(CALL).parse(message)  # type: ignore[call-arg]
    assert str(error.value) == why
