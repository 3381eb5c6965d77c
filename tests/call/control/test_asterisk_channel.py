"""A session whose peer is Asterisk's WebSocket channel: its texts, and what we say back, at exact times."""

import asyncio
import json

import pytest

from mediaserver.call import Call, CloseCode, End, EndReason, Stream
from mediaserver.playout.sources.source import Clip, PlaybackResult
from mediaserver.wire import websocket
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.events import Audio, Digit
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

PLAIN = (
    "MEDIA_START connection_id:media1 channel:WebSocket/lab/0x7f0000000000 channel_id:ws-1a2b3c4d format:{}"
    " optimal_frame_size:{} ptime:20"
)
LONG = Clip(b"\x11\x22" * 160 * 100)


def as_json(name: str, size: int) -> str:
    return json.dumps(
        {
            "event": "MEDIA_START",
            "connection_id": "media1",
            "channel": "WebSocket/lab/0x7f0000000000",
            "channel_id": "ws-1a2b3c4d",
            "format": name,
            "optimal_frame_size": size,
            "ptime": 20,
            "channel_variables": {"MEDIA_WEBSOCKET_CONNECTION_ID": "media1"},
        }
    )


class Asterisk(Caller):
    """A silent caller that is an Asterisk channel, and keeps the texts that it is sent."""

    def __init__(
        self, loop: VirtualLoop, lead: int = 0, framing: Framing = Framing.AUTO, stream: Stream | None = None
    ) -> None:
        super().__init__(loop, library_of(), WireSettings(lead=lead, framing=framing), stream=stream)
        self.quiet = True
        self.texts: list[tuple[float, str]] = []
        self.session.write_text = lambda text: self.texts.append((round(loop.time() * 1000), text))

    @property
    def payloads(self) -> list[bytes]:
        return [message[4:] for message in self.stage.transport.messages]


@pytest.mark.parametrize("text", [PLAIN.format("ulaw", 160), as_json("ulaw", 160)])
@in_virtual_time
async def test_the_format_of_a_media_start_holds_both_ways(text: str, loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(text)

    async def run(call: Call) -> None:
        await call.play(Clip(bytes(320)))

    await asterisk.call(run, 100)
    assert asterisk.stage.transport.messages == [websocket.binary(b"\xff" * 160)]
    session = asterisk.session
    assert session.summary()["wire"] == "chan_websocket/ulaw"
    assert session.summary()["inbound"] == "mulaw"
    assert session.stream.call == "ws-1a2b3c4d"
    assert session.stream.variables["connection_id"] == "media1"
    assert session.stream.variables["channel"] == "WebSocket/lab/0x7f0000000000"
    assert session.stream.variables["name"] == "value"
    assert session.texts == 0
    if text.startswith("{"):
        assert session.stream.variables["MEDIA_WEBSOCKET_CONNECTION_ID"] == "media1"


@in_virtual_time
async def test_a_format_named_late_changes_what_is_sent_in_mid_prompt(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)

    async def run(call: Call) -> None:
        await call.play(LONG)

    await asterisk.call(run, 100, (50, lambda: asterisk.session.receive_text(PLAIN.format("slin16", 640))))
    assert [len(payload) for payload in asterisk.payloads] == [320, 320, 640, 640, 640]


@pytest.mark.parametrize("framing", [Framing.AUTO, Framing.PCM])
@in_virtual_time
async def test_messages_before_the_media_start_and_the_handler_are_buffered(
    loop: VirtualLoop, framing: Framing
) -> None:
    asterisk = Asterisk(loop, framing=framing)
    session, heard = asterisk.session, []
    session.expect_media_start()
    for number in (1, 2):
        session.receive_binary(bytes([number]) * 640)
    session.receive_text(PLAIN.format("slin16", 640))
    session.receive_binary(b"\x03" * 640)
    session.receive_text("DTMF_END digit:5 channel_id:ws-1a2b3c4d")
    session.receive_binary(b"\x04" * 640)
    await session.wait_for_media_start()
    assert loop.time() == 0

    async def run(call: Call) -> None:
        with call.listen(heard.append):
            await call.silence()

    await asterisk.call(run, 100, (50, lambda: session.receive_binary(b"\x05" * 640)))
    assert [type(event) for event in heard] == [Audio, Audio, Audio, Digit, Audio, Audio]
    assert {len(event.pcm) for event in heard if isinstance(event, Audio)} == {320}
    assert (session.receiver.received, session.texts) == (5, 0)


@pytest.mark.parametrize(
    ("first", "wire"),
    [
        (bytes(range(160)), "chan_websocket/ulaw"),
        (b"\xd5" * 160, "chan_websocket/alaw"),
        (bytes(320), "chan_websocket/slin"),
        (bytes(640), "chan_websocket/slin16"),
        (bytes(7), "audiosocket/pcm"),
    ],
)
@in_virtual_time
async def test_a_format_that_never_comes_is_waited_for_no_longer_than_2_s(
    first: bytes, wire: str, loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.expect_media_start()
    asterisk.session.receive_binary(first)
    await asterisk.session.wait_for_media_start()
    assert loop.time() == 2.0
    await asterisk.session.run(asyncio.sleep(0.01))
    assert asterisk.session.receiver.received == 1
    assert asterisk.session.summary()["wire"] == wire
    assert "Asterisk MEDIA_START missing" in capfd.readouterr().out


@in_virtual_time
async def test_an_unsupported_format_ends_the_stream_and_is_named(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("opus", 960))
    end = asterisk.session.end
    assert end is not None
    assert (end.reason, end.code) == (EndReason.PROTOCOL_ERROR, CloseCode.UNSUPPORTED)
    assert end.text.startswith('the format "opus" is none of slin, slin12')
    assert asterisk.session.summary()["wire"] == "chan_websocket/opus"


@pytest.mark.parametrize(
    ("start", "answer"), [(PLAIN.format("slin", 320), "ANSWER"), (as_json("slin", 320), '{"command":"ANSWER"}')]
)
@in_virtual_time
async def test_a_channel_is_answered_once_when_a_handler_begins_to_play(
    start: str, answer: str, loop: VirtualLoop
) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(start)

    async def run(call: Call) -> None:
        await call.collect_digits(timeout=0.1)
        await call.play(Clip(bytes(320)))
        await call.play(Clip(bytes(320)))

    await asterisk.call(run, 400)
    assert asterisk.texts == [(100, answer)]


@in_virtual_time
async def test_a_channel_is_answered_where_a_handler_plays_before_the_media_start(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)

    async def run(call: Call) -> None:
        await call.play(Clip(bytes(320)))

    await asterisk.call(run, 100, (5, lambda: asterisk.session.receive_text(PLAIN.format("slin", 320))))
    assert [text for _, text in asterisk.texts] == ["ANSWER"]


@pytest.mark.parametrize(
    "text", ["MEDIA_STARTED format:opus", '{"event":"STATUS","of":"MEDIA_START","format":"opus"}', "{"]
)
@in_virtual_time
async def test_a_text_that_only_looks_like_a_media_start_is_unknown(text: str, loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.receive_text(text)
    assert (session.end, session.texts) == (None, 1)


@in_virtual_time
async def test_a_letter_key_may_be_a_small_letter(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("ulaw", 160))
    collected = []

    async def run(call: Call) -> None:
        collected.append((await call.collect_digits(2)).digits)

    keys = [lambda letter=letter: asterisk.session.receive_text(f"DTMF_END digit:{letter}") for letter in "cD"]
    await asterisk.call(run, 1000, (100, keys[0]), (200, keys[1]))
    assert collected == ["CD"]


@in_virtual_time
async def test_keys_reach_the_keypad(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("ulaw", 160))
    collected = []

    async def run(call: Call) -> None:
        collected.append(await call.collect_digits(3))

    def key(text: str):
        return lambda: asterisk.session.receive_text(text)

    await asterisk.call(
        run,
        1000,
        (100, key("DTMF_END digit:5 channel_id:ws-1a2b3c4d")),
        (200, key('{"event":"DTMF_END","channel_id":"ws-1a2b3c4d","digit":"0"}')),
        (300, key("DTMF_END digit:?")),
        (400, key("DTMF_END digit:#")),
    )
    assert (collected[0].digits, collected[0].timed_out) == ("50", False)
    assert asterisk.session.summary()["keys"] == 3


@in_virtual_time
async def test_clear_flushes_its_queue_and_the_lead_was_not_heard(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop, lead=10)
    asterisk.session.receive_text(PLAIN.format("slin", 320))
    heard = []

    async def run(call: Call) -> None:
        heard.append(await call.play(LONG))

    await asterisk.call(run, 300, (110, asterisk.session.call.clear))
    assert asterisk.stage.transport.times == [*[1] * 11, 21, 41, 61, 81, 101]
    assert asterisk.texts == [(0, "ANSWER"), (110, "FLUSH_MEDIA")]
    assert heard == [PlaybackResult(6, complete=False)]


@in_virtual_time
async def test_a_full_queue_holds_the_source_and_loses_nothing(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("slin", 320))
    numbers = [bytes([n]) * 320 for n in range(1, 9)]

    async def run(call: Call) -> None:
        await call.play(Clip(b"".join(numbers)))
        await call.silence()

    text = asterisk.session.receive_text
    await asterisk.call(run, 400, (50, lambda: text("MEDIA_XOFF")), (210, lambda: text("MEDIA_XON")))
    assert [at for at in asterisk.stage.transport.times if 50 < at < 210] == []
    assert [payload for payload in asterisk.payloads if any(payload)] == numbers


@pytest.mark.parametrize("hangs_up", [False, True])
@in_virtual_time
async def test_before_the_end_its_queue_is_played_out(hangs_up: bool, loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    session = asterisk.session
    session.receive_text(PLAIN.format("slin", 320))

    async def work() -> None:
        if hangs_up:
            session.call.hang_up()

    assert await session.run(work()) == End(EndReason.FINISHED, CloseCode.NORMAL)
    loop.call_later(0.25, session.receive_text, "QUEUE_DRAINED")
    await session.drain()
    assert loop.time() == 0.25
    assert asterisk.texts == [(0, "REPORT_QUEUE_DRAINED"), *([(250, "HANGUP")] if hangs_up else [])]


@in_virtual_time
async def test_the_drain_of_a_queue_times_out_after_5_s(
    loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("slin", 320))
    await asterisk.session.drain()
    assert loop.time() == 5.0
    assert "Asterisk queue drain timed out" in capfd.readouterr().out


@in_virtual_time
async def test_the_rest_of_a_longer_frame_is_filled_up_at_the_end(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    session = asterisk.session
    session.receive_text(PLAIN.format("slin", 640))

    async def work() -> None:
        await session.call.play(Clip(b"\x01" * 320 * 3))

    await session.run(work())
    loop.call_later(0.25, session.receive_text, "QUEUE_DRAINED")
    await session.drain()
    assert [payload for payload in asterisk.payloads if payload] == [b"\x01" * 640, b"\x01" * 320 + bytes(320)]


@in_virtual_time
async def test_the_rest_of_a_longer_frame_is_dropped_with_the_queue(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    session = asterisk.session
    session.receive_text(PLAIN.format("slin", 640))

    async def run(call: Call) -> None:
        await call.play(Clip(b"\x01" * 320 * 100))
        await call.play(Clip(b"\x02" * 320 * 2))

    await asterisk.call(run, 200, (50, session.call.clear))  # three frames were sent, or one and a half
    assert [payload for payload in asterisk.payloads if payload][:2] == [b"\x01" * 640, b"\x02" * 640]


@pytest.mark.parametrize("before", [True, False])
@in_virtual_time
async def test_the_queue_of_a_lost_connection_is_not_waited_for(before: bool, loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.receive_text(PLAIN.format("slin", 320))
    if before:
        session.disconnect()
    else:
        loop.call_later(0.25, session.disconnect)
    await session.drain()
    assert loop.time() == (0 if before else 0.25)


@in_virtual_time
async def test_a_refused_command_is_logged_and_unknown_texts_are_counted(
    loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(as_json("slin", 320))
    asterisk.session.receive_text(
        '{"event":"ERROR","channel_id":"ws-1","error_text":"Unable to parse JSON command"}'
    )
    assert "Unable to parse JSON command" in capfd.readouterr().out
    for text in ("hello", "{", '{"event":"STATUS"}', "SOMETHING_NEW"):
        asterisk.session.receive_text(text)
    assert asterisk.session.texts == 3  # one of them is understood


@in_virtual_time
async def test_a_channel_without_a_queue_is_not_asked_again_and_not_waited_for(
    loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its option `p` passes media through: it refuses to flush, and to tell when a queue is empty."""
    asterisk = Asterisk(loop, lead=10)
    text = asterisk.session.receive_text
    text(PLAIN.format("slin", 320))
    heard = []

    async def run(call: Call) -> None:
        heard.append(await call.play(LONG))
        heard.append(await call.play(LONG))

    refusal = "ERROR channel_id:ws-1 error_text:FLUSH_MEDIA not supported in passthrough mode"
    clear = asterisk.session.call.clear
    await asterisk.call(run, 500, (110, clear), (130, lambda: [text(refusal) for _ in range(100)]), (300, clear))
    assert [said for _, said in asterisk.texts] == ["ANSWER", "FLUSH_MEDIA"]
    assert sum(each.frames for each in heard) > 10
    await asterisk.session.drain()
    assert loop.time() == 0.5
    assert capfd.readouterr().out.count("Asterisk command refused") == 1


@in_virtual_time
async def test_whether_its_queue_can_be_flushed(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    asterisk.session.receive_text(PLAIN.format("slin", 320))
    channel = asterisk.session.control
    assert channel.flush()
    asterisk.session.receive_text("ERROR channel_id:ws-1 error_text:something else")
    assert channel.flush()
    asterisk.session.receive_text("ERROR channel_id:ws-1 error_text:not supported in passthrough mode")
    assert not channel.flush()
    assert [text for _, text in asterisk.texts] == ["FLUSH_MEDIA"] * 2


@in_virtual_time
async def test_a_stream_that_is_over_does_not_wait_for_a_media_start(
    loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    session = Asterisk(loop).session
    session.expect_media_start()
    session.receive_binary(b"\xd5" * 160)
    loop.call_later(0.5, session.call.close)
    await session.wait_for_media_start()
    assert loop.time() == 0.5
    assert session.summary()["wire"].startswith("audiosocket")  # nothing is made of what came
    assert "MEDIA_START" not in capfd.readouterr().out


@in_virtual_time
async def test_a_text_before_the_first_sound_does_not_name_its_format(loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.expect_media_start()
    session.receive_text("STATUS channel_id:ws-1")
    session.receive_binary(bytes(640))
    session.receive_binary(bytes(160))
    await session.wait_for_media_start()
    assert session.summary()["wire"] == "chan_websocket/slin16"


@pytest.mark.parametrize(("call", "named"), [("", "ws-1a2b3c4d"), ("theirs", "theirs")])
@in_virtual_time
async def test_the_channel_s_id_names_a_call_that_has_no_name(loop: VirtualLoop, call: str, named: str) -> None:
    query, variables = {"token": "secret", "channel": "x"}, {"name": "value"}
    stream = Stream("id", "/path", "peer", query, variables, call=call)
    session = Asterisk(loop, stream=stream).session
    session.receive_text(PLAIN.format("ulaw", 160))
    assert session.stream.call == named
    assert session.stream.variables == {
        "channel": "WebSocket/lab/0x7f0000000000",
        "connection_id": "media1",
        "name": "value",
    }
