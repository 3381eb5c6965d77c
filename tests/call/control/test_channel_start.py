"""The first messages of a peer that may be Asterisk's channel: what is buffered, known, and missing."""

from structlog.testing import capture_logs

from mediaserver.call import Call, CloseCode, Stream
from mediaserver.wire.events import Audio, Digit, Event
from tests.call.control.test_asterisk_channel import PLAIN, Asterisk
from tests.virtual import VirtualLoop, in_virtual_time


async def quiet(call: Call) -> None:
    await call.silence()


@in_virtual_time
async def test_a_text_of_a_peer_that_is_no_channel_is_counted_at_once(loop: VirtualLoop) -> None:
    """Only Asterisk's texts have to keep their place among the sounds that wait for the handler."""
    asterisk = Asterisk(loop)
    session = asterisk.session
    session.hold_inbound()
    session.receive_text("hello")
    assert session.texts == 1
    await asterisk.call(quiet, 100)
    assert session.texts == 1


@in_virtual_time
async def test_a_text_between_the_handshake_and_a_promised_media_start_is_counted_once(loop: VirtualLoop) -> None:
    asterisk = Asterisk(loop)
    session = asterisk.session
    session.expect_media_start()
    session.receive_text("hello")
    assert session.texts == 0
    session.receive_text("MEDIA_START format:slin optimal_frame_size:320")
    await session.wait_for_media_start()
    await asterisk.call(quiet, 100)
    assert (loop.time(), session.texts) == (0.1, 1)


@in_virtual_time
async def test_a_media_start_that_nobody_has_promised_is_not_waited_for(loop: VirtualLoop) -> None:
    await Asterisk(loop).session.wait_for_media_start()
    assert loop.time() == 0


@in_virtual_time
async def test_where_nothing_comes_the_path_s_own_format_is_kept(loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.expect_media_start()
    await session.wait_for_media_start()
    assert (loop.time(), session.end) == (2.0, None)
    assert session.summary()["wire"].startswith("audiosocket")


@in_virtual_time
async def test_a_key_of_a_channel_keeps_its_place_among_sounds_that_wait_for_the_handler(
    loop: VirtualLoop,
) -> None:
    asterisk = Asterisk(loop)
    session, heard = asterisk.session, list[type[Event]]()
    session.hold_inbound()
    session.receive_text("MEDIA_START format:slin optimal_frame_size:320")
    session.receive_binary(bytes(320))
    session.receive_text("DTMF_END digit:5")
    session.receive_binary(bytes(320))

    async def run(call: Call) -> None:
        with call.listen(lambda event: heard.append(type(event))):
            await call.silence()

    await asterisk.call(run, 100)
    assert heard == [Audio, Digit, Audio]


@in_virtual_time
async def test_a_media_start_without_a_format_ends_the_stream(loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.receive_text("MEDIA_START channel_id:ws-1")
    assert session.end is not None
    assert session.end.code == CloseCode.UNSUPPORTED
    assert session.summary()["wire"].startswith("audiosocket")


@in_virtual_time
async def test_a_channel_without_ids_leaves_the_call_without_a_name(loop: VirtualLoop) -> None:
    session = Asterisk(loop, stream=Stream("id", "/path", "peer")).session
    session.receive_text("MEDIA_START format:slin optimal_frame_size:320")
    assert (session.stream.call, session.stream.variables) == ("", {})


@in_virtual_time
async def test_the_name_of_an_unsupported_format_is_cut(loop: VirtualLoop) -> None:
    session = Asterisk(loop).session
    session.receive_text(f"MEDIA_START format:{'x' * 50} optimal_frame_size:320")
    assert session.summary()["wire"] == f"chan_websocket/{'x' * 20}"


@in_virtual_time
async def test_first_messages_are_buffered_up_to_half_a_megabyte_and_the_oldest_give_way(
    loop: VirtualLoop,
) -> None:
    session = Asterisk(loop).session
    session.hold_inbound()
    half = 256 * 1024
    for size, dropped in ((half, 0), (half, 0), (1, 1), (1, 1), (half - 2, 1), (1, 2)):
        session.receive_binary(bytes(size))
        assert session.receiver.dropped == dropped


@in_virtual_time
async def test_events_without_their_fields_end_nothing(loop: VirtualLoop) -> None:
    """A key without a name is no key. An error is logged without its reason, or with the begin of a long one."""
    for error, why in (("ERROR", ""), (f"ERROR error_text:{'x' * 300}", "x" * 200)):
        session = Asterisk(loop).session
        session.receive_text(PLAIN.format("slin", 320))
        session.receive_text("DTMF_END channel_id:ws-1")
        assert session.texts == 1
        with capture_logs() as logged:
            session.receive_text(error)
        assert [(line["event"], line["stream"], line["why"]) for line in logged] == [
            ("Asterisk command refused", "id", why)
        ]
        assert session.end is None
