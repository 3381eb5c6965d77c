"""The wires of a platform that we dialled, of Asterisk on TCP, and of Asterisk's WebSocket channel."""

from uuid import UUID

import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire import chan_websocket, rtp
from mediaserver.wire.chan_websocket import ControlEvent
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import (
    Carrier,
    Encapsulation,
    WireSettings,
)
from mediaserver.wire.events import Audio, Identity
from mediaserver.wire.wire import Wire
from tests.wire.test_wire import (
    ALAW,
    AUDIOSOCKET,
    FRAME,
    MULAW,
    RTP,
    SLN,
    SOUND_MESSAGE,
    UUID_MESSAGE,
    packet,
)

# Dialled streams: the platform sends µ-law, and takes 16-bit linear


def dialled(encapsulation, **settings):
    return Wire(WireSettings(encapsulation, **settings), dialled=True)


def sent(wire):
    """One frame as the peer gets it."""
    (message,) = wire.messages([wire.encoding.encode(FRAME)])
    return message[4:]


@pytest.mark.parametrize(
    ("encapsulation", "received", "sent_back"),
    [
        ("audiosocket", b"\x10\x00\xa0" + MULAW, b"\x10\x01\x40" + FRAME),
        ("sln", MULAW, FRAME),
    ],
)
def test_the_platform_sends_mulaw_and_is_sent_linear_audio(encapsulation, received, sent_back):
    wire = dialled(Encapsulation(encapsulation))
    assert str(wire.inbound.codec) == "mulaw"
    assert wire.awaits_first_message is False
    wire.fix_framing()  # silence is sent before the platform speaks
    assert sent(wire) == sent_back
    assert wire.negotiate(received) is False
    assert [wire.inbound.depacketize(received, n / 50) for n in range(10)] == [[Audio(FRAME)]] * 10
    assert sent(wire) == sent_back


@pytest.mark.parametrize("payload_type", [0, 96])
def test_the_platform_is_sent_linear_audio_under_the_payload_type_that_it_sends(payload_type):
    wire = dialled(Encapsulation.RTP)
    first = rtp.parse(sent(wire))
    assert (first.payload_type, first.payload) == (96, FRAME)
    assert wire.negotiate(packet(payload_type, MULAW)) is (payload_type == 0)
    assert wire.inbound.depacketize(packet(payload_type, MULAW), 0.0) == [Audio(FRAME)]
    after = rtp.parse(sent(wire))
    assert (after.payload_type, after.payload) == (payload_type, FRAME)
    assert (after.sequence - first.sequence) % 2**16 == 1


def test_the_payload_type_of_a_dialled_stream_names_no_codec():
    wire = dialled(Encapsulation.RTP)
    assert wire.inbound.depacketize(packet(0, FRAME), 0.0) == [Audio(FRAME)]


@pytest.mark.parametrize("encapsulation", list(Encapsulation))
def test_a_platform_that_sends_linear_is_decoded_so_from_its_first_message(encapsulation):
    wire = dialled(encapsulation)
    received = {"audiosocket": SOUND_MESSAGE, "sln": FRAME, "rtp": packet(96, FRAME)}[encapsulation]
    assert wire.inbound.depacketize(received, 0.0) == [Audio(FRAME)]
    assert str(wire.inbound.codec) == "slin"


@pytest.mark.parametrize(
    ("inbound", "pcm"),
    [("slin", MULAW), ("alaw", to_bytes(g711.alaw_decode(MULAW))), ("mulaw", FRAME)],
)
def test_the_setting_inbound_holds_whatever_is_received(inbound, pcm):
    wire = dialled(Encapsulation.SLN, inbound=InboundCodec(inbound))
    (audio,) = wire.inbound.depacketize(MULAW, 0.0)
    assert audio.pcm == pcm


def test_a_dialled_peer_that_sends_raw_pcm_is_sent_raw_pcm():
    wire = dialled(Encapsulation.AUDIOSOCKET)
    wire.fix_framing()
    assert wire.negotiate(FRAME) is True
    assert sent(wire) == FRAME


# AudioSocket over TCP


def test_tcp_carries_messages_without_websocket_headers():
    wire = Wire(AUDIOSOCKET, carrier=Carrier.TCP)
    assert (wire.name, wire.awaits_first_message, wire.negotiate(UUID_MESSAGE)) == (
        "audiosocket/tcp",
        False,
        False,
    )
    wire.fix_framing()
    assert (wire.negotiate(SOUND_MESSAGE), wire.negotiating) == (False, False)
    assert list(wire.messages(wire.encoding.packetize(FRAME))) == [b"\x10\x01\x40" + FRAME]
    assert wire.inbound.depacketize(UUID_MESSAGE, 0.0) == [Identity(UUID(int=0))]
    assert wire.inbound.depacketize(b"\x10\x00\xa0" + MULAW, 0.02) == [Audio(FRAME)]


def test_tcp_carries_nothing_but_messages():
    with pytest.raises(ProtocolError, match=r"^AudioSocket payload cut short: 317 of 33404 bytes$"):
        Wire(AUDIOSOCKET, carrier=Carrier.TCP).inbound.depacketize(FRAME, 0.0)


@pytest.mark.parametrize(
    ("kind", "size", "name"),
    [(0x11, 480, "slin12"), (0x12, 640, "slin16"), (0x15, 1764, "slin44"), (0x18, 7680, "slin192")],
)
def test_a_channel_on_tcp_is_sent_audio_at_its_own_rate(kind, size, name):
    wire = Wire(AUDIOSOCKET, carrier=Carrier.TCP)
    head = bytes((kind,)) + size.to_bytes(2, "big")
    assert wire.negotiate(b"\x03\x00\x015") is False  # a key says nothing of it
    assert wire.negotiate(head + bytes(size)) is True
    messages = [*wire.messages(wire.encoding.packetize(FRAME) * 3)]
    assert [message[:3] for message in messages] == [head] * 3
    assert {len(message) for message in messages} == {3 + size}
    assert wire.name == f"audiosocket/tcp/{name}"
    wire.inbound.depacketize(head + bytes(size), 0.0)
    assert str(wire.inbound.codec) == "slin"
    assert wire.negotiate(SOUND_MESSAGE) is False


# Asterisk's WebSocket channel


def channel(name, frame_bytes=None):
    size = f" optimal_frame_size:{frame_bytes}" if frame_bytes else ""
    event = chan_websocket.parse(f"MEDIA_START format:{name}{size}")
    wire = Wire(WireSettings(lead=10))
    wire.set_media_format(event.media_format())
    return wire


@pytest.mark.parametrize(
    ("name", "payload", "header"),
    [("slin", FRAME, "827e0140"), ("ulaw", MULAW, "827e00a0"), ("alaw", ALAW, "827e00a0")],
)
def test_an_asterisk_channel_is_sent_and_decoded_in_its_own_format(name, payload, header):
    wire = channel(name)
    assert wire.name == f"chan_websocket/{name}"
    (message,) = wire.messages([item := wire.encoding.encode(FRAME)])
    assert message is item  # the same bytes for every stream
    assert message == bytes.fromhex(header) + payload
    (audio,) = wire.inbound.depacketize(payload, 0.0)
    assert audio.pcm == (FRAME if name != "alaw" else to_bytes(g711.alaw_decode(ALAW)))


def test_only_an_asterisk_channel_has_a_lead_above_three_frames():
    assert Wire(WireSettings(lead=10)).lead == 3
    assert channel("ulaw").lead == 10


@pytest.mark.parametrize(("name", "size"), [("slin12", 480), ("slin16", 640), ("slin44", 1764), ("slin48", 1920)])
def test_a_wideband_channel_gets_a_whole_frame_of_its_own_each_time(name, size):
    wire = channel(name)
    messages = [*wire.messages([wire.encoding.encode(FRAME)] * 5)]
    assert [message[:4] for message in messages] == [b"\x82\x7e" + size.to_bytes(2, "big")] * 5
    assert [len(message) - 4 for message in messages] == [size] * 5
    received = [audio.pcm for n in range(5) for audio in wire.inbound.depacketize(messages[n][4:], n / 50)]
    assert [len(pcm) for pcm in received] == [320] * 5
    assert str(wire.inbound.codec) == "slin"


def test_frames_longer_than_20_ms_go_out_together():
    wire = channel("ulaw", 320)
    assert [*wire.messages([wire.encoding.encode(FRAME)] * 4)] == [b"", b"\x82\x7e\x01\x40" + MULAW * 2] * 2


def test_flush_completes_a_longer_frame_once():
    wire = channel("ulaw", 320)
    assert list(wire.messages([MULAW])) == [b""]
    assert (wire.flush(), wire.flush()) == (b"\x82\x7e\x01\x40" + MULAW + b"\xff" * 160, b"")
    assert Wire(SLN).flush() == b""


def test_the_format_of_an_asterisk_channel_overrides_the_settings():
    for settings in (AUDIOSOCKET, RTP):
        wire = Wire(settings)
        wire.set_media_format(ControlEvent("MEDIA_START", {"format": "ulaw"}).media_format())
        assert list(wire.messages([wire.encoding.encode(FRAME)])) == [b"\x82\x7e\x00\xa0" + MULAW]
        assert (wire.marks_talkspurts, wire.awaits_first_message, wire.negotiating) == (False, False, False)
        assert (wire.negotiate(SOUND_MESSAGE), wire.inbound.codec.decided) == (False, True)


def test_a_second_format_of_a_channel_replaces_the_first():
    wire = channel("slin16", 1280)
    assert list(wire.messages([FRAME])) == [b""]
    wire.set_media_format(ControlEvent("MEDIA_START", {"format": "ulaw"}).media_format())
    assert list(wire.messages([wire.encoding.encode(FRAME)])) == [b"\x82\x7e\x00\xa0" + MULAW]
    assert wire.flush() == b""


def test_the_name_of_a_wire_shows_an_unsupported_format():
    wire = Wire(AUDIOSOCKET)
    wire.unsupported_format = "opus"
    assert wire.name == "chan_websocket/opus"
