"""What a stream sends and understands in every setting, to the byte."""

import itertools
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, chan_websocket, rtp
from mediaserver.wire.chan_websocket import ControlEvent
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import (
    L16,
    MESSAGE,
    PCM,
    PCMA,
    PCMU,
    TCP,
    ULAW,
    Carrier,
    Encapsulation,
    Framing,
    RtpPayload,
    Wire,
    WireSettings,
    first_encoding,
)
from mediaserver.wire.events import Audio, Digit, Fault, Hangup, Identity
from mediaserver.wire.rtp import Packet

SAMPLES = (-32124, 32124, 0, 8) * 40
FRAME = struct.pack("<160h", *SAMPLES)
MULAW = b"\x00\x80\xff\xfe" * 40
ALAW = b"\x2a\xaa\xd5\xd5" * 40

AUDIOSOCKET = WireSettings(Encapsulation.AUDIOSOCKET)
SLN = WireSettings(Encapsulation.SLN)
RTP = WireSettings(Encapsulation.RTP)

SOUND_MESSAGE = b"\x10\x01\x40" + FRAME
UUID_MESSAGE = b"\x01\x00\x10" + bytes(16)


def audiosocket_as(framing):
    return WireSettings(Encapsulation.AUDIOSOCKET, framing=framing)


def rtp_as(payload):
    return WireSettings(Encapsulation.RTP, rtp_payload=payload)


def packet(payload_type, payload=bytes(160)):
    return rtp.serialize(Packet(payload_type, 0, 0, 0, payload))


def test_the_names_of_the_settings():
    assert list(Encapsulation) == ["audiosocket", "rtp", "sln"]
    assert list(Framing) == ["auto", "pcm", "message"]
    assert list(RtpPayload) == ["auto", "pcmu", "pcma", "l16"]
    assert WireSettings() == WireSettings(Encapsulation.AUDIOSOCKET, Framing.AUTO, RtpPayload.AUTO)


# Frames to items


@pytest.mark.parametrize(
    ("encoding", "name", "item"),
    [
        (PCM, "pcm", b"\x82\x7e\x01\x40" + FRAME),
        (MESSAGE, "message", b"\x82\x7e\x01\x43" + b"\x10\x01\x40" + FRAME),
        (PCMU, "pcmu", MULAW),
        (PCMA, "pcma", ALAW),
        (L16, "l16", FRAME),
    ],
)
def test_the_item_of_one_frame(encoding, name, item):
    assert encoding.name == name
    assert encoding.encode(FRAME) == item
    assert encoding.packetize(FRAME) == [item]


@pytest.mark.parametrize(
    ("encoding", "silence"),
    [
        (PCM, b"\x82\x7e\x01\x40" + bytes(320)),
        (MESSAGE, b"\x82\x7e\x01\x43\x10\x01\x40" + bytes(320)),
        (PCMU, b"\xff" * 160),
        (PCMA, b"\xd5" * 160),
        (L16, bytes(320)),
    ],
)
def test_the_item_of_a_silent_frame(encoding, silence):
    assert encoding.silence == silence


@pytest.mark.parametrize(
    ("encoding", "first", "last"),
    [
        (PCM, b"\x82\x7e\x01\x40" + FRAME, b"\x82\x7e\x01\x40" + FRAME[:8] + bytes(312)),
        (
            MESSAGE,
            b"\x82\x7e\x01\x43\x10\x01\x40" + FRAME,
            b"\x82\x7e\x01\x43\x10\x01\x40" + FRAME[:8] + bytes(312),
        ),
        (PCMU, MULAW, MULAW[:4] + b"\xff" * 156),
        (PCMA, ALAW, ALAW[:4] + b"\xd5" * 156),
        (L16, FRAME, FRAME[:8] + bytes(312)),
    ],
)
def test_the_last_partial_frame_is_padded_with_silence(encoding, first, last):
    assert encoding.packetize(FRAME + FRAME + FRAME[:8]) == [first, first, last]


@pytest.mark.parametrize("encoding", [PCM, MESSAGE, TCP, ULAW, PCMU, PCMA, L16])
def test_an_item_is_its_frame_again_as_far_as_companding_keeps_it(encoding):
    kept = to_bytes(g711.alaw_decode(ALAW)) if encoding is PCMA else FRAME
    assert encoding.decode(encoding.encode(FRAME)) == kept


@pytest.mark.parametrize("encoding", [PCM, MESSAGE, PCMU, PCMA, L16])
def test_nothing_makes_no_items(encoding):
    assert encoding.packetize(b"") == []


# Items to messages


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (AUDIOSOCKET, b"\x82\x7e\x01\x40" + FRAME),
        (audiosocket_as(Framing.PCM), b"\x82\x7e\x01\x40" + FRAME),
        (audiosocket_as(Framing.MESSAGE), b"\x82\x7e\x01\x43\x10\x01\x40" + FRAME),
        (SLN, b"\x82\x7e\x01\x40" + FRAME),
        (WireSettings(Encapsulation.SLN, Framing.MESSAGE, RtpPayload.PCMA), b"\x82\x7e\x01\x40" + FRAME),
    ],
)
def test_the_message_of_one_frame(settings, message):
    wire = Wire(settings)
    assert list(wire.messages(wire.encoding.packetize(FRAME))) == [message]


@pytest.mark.parametrize(
    ("settings", "start", "payload"),
    [
        (RTP, "82 7e 00ac 80 00", MULAW),
        (rtp_as(RtpPayload.PCMU), "82 7e 00ac 80 00", MULAW),
        (rtp_as(RtpPayload.PCMA), "82 7e 00ac 80 08", ALAW),
        (rtp_as(RtpPayload.L16), "82 7e 014c 80 60", FRAME),
    ],
)
def test_the_rtp_message_of_one_frame(settings, start, payload):
    wire = Wire(settings)
    (message,) = wire.messages(wire.encoding.packetize(FRAME))
    assert message[:6] == bytes.fromhex(start)
    assert len(message) == 4 + 12 + len(payload)
    assert message[16:] == payload


def test_rtp_packets_follow_each_other_and_a_talkspurt_is_marked():
    wire = Wire(RTP)
    wire.talkspurt()
    sent = [rtp.parse(message[4:]) for message in wire.messages([MULAW, MULAW, MULAW])]
    assert [p.marker for p in sent] == [True, False, False]
    assert [(p.sequence - sent[0].sequence) % 2**16 for p in sent] == [0, 1, 2]
    assert [(p.timestamp - sent[0].timestamp) % 2**32 for p in sent] == [0, 160, 320]
    assert len({p.ssrc for p in sent}) == 1


def test_messages_are_made_one_by_one_as_they_are_taken():
    wire = Wire(RTP)
    messages = wire.messages(itertools.repeat(MULAW))
    wire.talkspurt()
    first, second = (rtp.parse(next(messages)[4:]) for _ in range(2))
    assert (first.marker, second.marker) == (True, False)


@pytest.mark.parametrize("settings", [AUDIOSOCKET, SLN])
def test_a_talkspurt_is_nothing_to_other_encapsulations(settings):
    wire = Wire(settings)
    wire.talkspurt()
    assert list(wire.messages([PCM.silence])) == [PCM.silence]


def unmask(message):
    """(key, payload) of a masked message over 125 bytes, XORed byte by byte."""
    assert message[:2] == b"\x82\xfe"
    key, masked = message[4:8], message[8:]
    assert int.from_bytes(message[2:4], "big") == len(masked)
    return key, bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))


@pytest.mark.parametrize("settings", [AUDIOSOCKET, audiosocket_as(Framing.MESSAGE), SLN, RTP])
def test_a_client_masks_every_message_with_a_fresh_key(settings):
    keys = [b"\x01\x02\x03\x04", b"\xaa\xbb\xcc\xdd", b"\x00\xff\x00\xff"]
    wire = Wire(settings, random_key=iter(keys).__next__)
    sent = [unmask(message) for message in wire.messages(wire.encoding.packetize(FRAME) * 3)]
    assert [key for key, _ in sent] == keys
    for _, payload in sent:
        if settings is RTP:
            assert (rtp.parse(payload).payload_type, rtp.parse(payload).payload) == (96, FRAME)
        else:
            assert payload == wire.encoding.encode(FRAME)[4:]


def test_a_server_masks_nothing():
    item = PCM.silence
    (message,) = Wire(SLN).messages([item])
    assert message is item  # the same bytes for every stream


# What `auto` makes of the peer


@pytest.mark.parametrize("first", [SOUND_MESSAGE, UUID_MESSAGE, b"\x00\x00\x00"], ids=["sound", "uuid", "hangup"])
def test_a_peer_that_starts_in_messages_is_answered_in_messages(first):
    wire = Wire(AUDIOSOCKET)
    assert (wire.listening, wire.name) == (True, "audiosocket/pcm")
    assert wire.observe(first) is True
    assert (wire.listening, wire.name, wire.encoding) == (False, "audiosocket/message", MESSAGE)


@pytest.mark.parametrize(
    "first",
    [FRAME, b"", b"\x10\x01", SOUND_MESSAGE[:-1], SOUND_MESSAGE + b"\0"],
    ids=["raw PCM", "nothing", "two bytes", "cut short", "too long"],
)
def test_a_peer_that_starts_with_anything_else_is_answered_in_pcm(first):
    wire = Wire(AUDIOSOCKET)
    assert wire.observe(first) is False
    assert (wire.listening, wire.encoding) == (False, PCM)


@pytest.mark.parametrize(("first", "encoding"), [(SOUND_MESSAGE, MESSAGE), (FRAME, PCM)])
def test_only_the_first_message_decides(first, encoding):
    wire = Wire(AUDIOSOCKET)
    wire.observe(first)
    for later in (FRAME, SOUND_MESSAGE, UUID_MESSAGE, b""):
        assert wire.observe(later) is False
    assert wire.encoding is encoding


def test_a_peer_silent_until_the_first_frame_is_due_gets_pcm_for_good():
    wire = Wire(AUDIOSOCKET)
    wire.settle()
    assert (wire.listening, wire.encoding) == (False, PCM)
    assert wire.observe(SOUND_MESSAGE) is False
    assert wire.encoding is PCM


def test_settling_keeps_what_the_peer_has_decided():
    wire = Wire(AUDIOSOCKET)
    wire.observe(SOUND_MESSAGE)
    wire.settle()
    assert wire.encoding is MESSAGE


@pytest.mark.parametrize(
    ("payload_type", "encoding", "start"),
    [(0, PCMU, "82 7e 00ac 80 00"), (8, PCMA, "82 7e 00ac 80 08"), (96, L16, "82 7e 014c 80 60")],
)
def test_rtp_follows_the_payload_type_of_the_peer(payload_type, encoding, start):
    wire = Wire(RTP)
    assert wire.encoding is PCMU
    assert wire.observe(packet(payload_type)) is (encoding is not PCMU)
    assert wire.encoding is encoding
    (message,) = wire.messages([encoding.encode(FRAME)])
    assert message[:6] == bytes.fromhex(start)
    assert message[16:] == encoding.encode(FRAME)


@pytest.mark.parametrize(
    "unknown", [packet(101), packet(127), b"", b"\x80", FRAME], ids=["101", "127", "nothing", "byte", "PCM"]
)
def test_rtp_waits_for_the_first_packet_of_a_payload_type_it_knows(unknown):
    wire = Wire(RTP)
    assert wire.observe(unknown) is False
    assert wire.encoding is PCMU
    assert wire.observe(packet(96)) is True
    assert wire.encoding is L16


def test_rtp_stays_open_for_the_peer_after_the_first_frame_but_holds_nothing_up():
    wire = Wire(RTP)
    assert wire.listening is False
    wire.settle()
    assert wire.observe(packet(8)) is True
    assert wire.encoding is PCMA


def test_rtp_follows_once():
    wire = Wire(RTP)
    wire.observe(packet(8))
    assert wire.observe(packet(96)) is False
    assert wire.encoding is PCMA


def test_following_goes_on_in_the_same_sequence():
    wire = Wire(RTP)
    before = [rtp.parse(message[4:]) for message in wire.messages([MULAW])]
    wire.observe(packet(96))
    after = [rtp.parse(message[4:]) for message in wire.messages([FRAME])]
    assert (after[0].sequence - before[0].sequence) % 2**16 == 1
    assert (after[0].timestamp - before[0].timestamp) % 2**32 == 160
    assert after[0].ssrc == before[0].ssrc


EXPLICIT = [
    (audiosocket_as(Framing.PCM), PCM),
    (audiosocket_as(Framing.MESSAGE), MESSAGE),
    (SLN, PCM),
    (rtp_as(RtpPayload.PCMU), PCMU),
    (rtp_as(RtpPayload.PCMA), PCMA),
    (rtp_as(RtpPayload.L16), L16),
]


@pytest.mark.parametrize(("settings", "encoding"), EXPLICIT)
@pytest.mark.parametrize("heard", [SOUND_MESSAGE, FRAME, packet(0), packet(8), packet(96)])
@pytest.mark.parametrize("random_key", [None, lambda: b"abcd"], ids=["taken", "dialled"])
def test_explicit_settings_never_change(settings, encoding, heard, random_key):
    wire = Wire(settings, random_key)
    assert first_encoding(settings) is encoding
    assert wire.encoding is encoding
    assert wire.listening is False
    assert wire.undecided is False
    assert wire.observe(heard) is False
    wire.settle()
    assert wire.encoding is encoding


# What the peer says


@pytest.mark.parametrize(
    ("settings", "data", "events"),
    [
        (AUDIOSOCKET, FRAME, [Audio(FRAME)]),
        (AUDIOSOCKET, SOUND_MESSAGE, [Audio(FRAME)]),
        (AUDIOSOCKET, UUID_MESSAGE, [Identity(UUID(int=0))]),
        (audiosocket_as(Framing.PCM), FRAME, [Audio(FRAME)]),
        (audiosocket_as(Framing.PCM), b"\x10\x00\x05abcde", [Audio(b"\x10\x00\x05abcde")]),  # though it fits
        (audiosocket_as(Framing.MESSAGE), SOUND_MESSAGE, [Audio(FRAME)]),
        (audiosocket_as(Framing.MESSAGE), SOUND_MESSAGE + b"\x00\x00\x00", [Audio(FRAME), Hangup()]),
        (audiosocket_as(Framing.MESSAGE), b"\x03\x00\x01*", [Digit("*")]),
        (audiosocket_as(Framing.MESSAGE), b"\xff\x00\x01\x02", [Fault(2)]),
        (SLN, FRAME, [Audio(FRAME)]),
        (RTP, packet(0, b"\x00\x80\xff"), [Audio(struct.pack("<3h", -32124, 32124, 0))]),
        (rtp_as(RtpPayload.PCMA), packet(96, FRAME), [Audio(FRAME)]),  # sound is decoded by what it is
    ],
)
def test_what_is_heard(settings, data, events):
    wire = Wire(settings)
    wire.observe(data)
    assert wire.inbound.depacketize(data, 0.0) == events


def test_steady_mulaw_under_the_name_of_sln_is_heard_as_mulaw():
    wire = Wire(SLN)
    assert [wire.inbound.depacketize(MULAW, n / 50) for n in range(50)] == [[Audio(FRAME)]] * 50


def test_messages_are_understood_even_when_pcm_is_what_we_send():
    wire = Wire(AUDIOSOCKET)
    wire.settle()
    assert wire.inbound.depacketize(UUID_MESSAGE, 0.0) == [Identity(UUID(int=0))]
    assert wire.inbound.depacketize(SOUND_MESSAGE, 0.02) == [Audio(FRAME)]


@pytest.mark.parametrize("first_bytes", [b"\x00\x01\x3d", b"\x10\x01\x3d", b"\x40\x01\x3d", b"\xff\x01\x3d"])
def test_raw_sound_that_happens_to_look_like_a_message_is_still_sound(first_bytes):
    raw = first_bytes + bytes(317)  # 320 bytes, of which the second and third say "317 to come"
    wire = Wire(AUDIOSOCKET)
    wire.observe(FRAME)
    assert wire.inbound.depacketize(FRAME, 0.0) == [Audio(FRAME)]
    assert wire.inbound.depacketize(raw, 0.02) == [Audio(raw)]


def test_what_the_first_message_has_decided_holds_for_what_is_heard_as_well():
    raw = b"\x10\x01\x3d" + bytes(317)
    wire = Wire(AUDIOSOCKET)
    wire.observe(FRAME)
    assert wire.inbound.depacketize(raw, 0.0) == [Audio(raw)]
    wire = Wire(AUDIOSOCKET)
    wire.observe(SOUND_MESSAGE)
    with pytest.raises(ProtocolError, match=r"^AudioSocket payload cut short"):
        wire.inbound.depacketize(FRAME, 0.0)


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        (AUDIOSOCKET, b"", "0 bytes are not 16-bit PCM"),
        (AUDIOSOCKET, FRAME[:-1], "319 bytes are not 16-bit PCM"),
        (audiosocket_as(Framing.PCM), b"abc", "3 bytes are not 16-bit PCM"),
        (audiosocket_as(Framing.MESSAGE), FRAME[:2], "AudioSocket header cut short: 2 of 3 bytes"),
        (SLN, b"abc", "3 bytes are not 16-bit PCM"),
        (RTP, FRAME[:4], "RTP header cut short: 4 of 12 bytes"),
    ],
)
def test_what_cannot_be_understood_is_named(settings, data, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        Wire(settings).inbound.depacketize(data, 0.0)


# What we dialled: the platform sends µ-law, and takes 16-bit linear


def dialled(encapsulation, **settings):
    return Wire(WireSettings(encapsulation, **settings), random_key=lambda: bytes(4))  # a key that changes nothing


def said(wire):
    """One frame as the peer gets it."""
    (message,) = wire.messages([wire.encoding.encode(FRAME)])
    return message[8:]


@pytest.mark.parametrize(
    ("encapsulation", "heard", "spoken"),
    [
        ("audiosocket", b"\x10\x00\xa0" + MULAW, b"\x10\x01\x40" + FRAME),
        ("sln", MULAW, FRAME),
    ],
)
def test_the_platform_is_heard_in_mulaw_and_spoken_to_in_linear(encapsulation, heard, spoken):
    wire = dialled(Encapsulation(encapsulation))
    assert str(wire.inbound.codec) == "mulaw"
    assert wire.listening is False
    wire.settle()  # silence is sent before the platform speaks
    assert said(wire) == spoken
    assert wire.observe(heard) is False
    assert [wire.inbound.depacketize(heard, n / 50) for n in range(10)] == [[Audio(FRAME)]] * 10
    assert said(wire) == spoken


@pytest.mark.parametrize("payload_type", [0, 96])
def test_the_platform_takes_linear_samples_under_the_payload_type_that_it_sends(payload_type):
    wire = dialled(Encapsulation.RTP)
    first = rtp.parse(said(wire))
    assert (first.payload_type, first.payload) == (96, FRAME)
    assert wire.observe(packet(payload_type, MULAW)) is (payload_type == 0)
    assert wire.inbound.depacketize(packet(payload_type, MULAW), 0.0) == [Audio(FRAME)]
    after = rtp.parse(said(wire))
    assert (after.payload_type, after.payload) == (payload_type, FRAME)
    assert (after.sequence - first.sequence) % 2**16 == 1


def test_the_payload_type_of_what_we_dialled_names_no_codec():
    wire = dialled(Encapsulation.RTP)
    assert wire.inbound.depacketize(packet(0, FRAME), 0.0) == [Audio(FRAME)]


@pytest.mark.parametrize("encapsulation", list(Encapsulation))
def test_a_platform_that_sends_linear_is_heard_so_from_its_first_message(encapsulation):
    wire = dialled(encapsulation)
    heard = {"audiosocket": SOUND_MESSAGE, "sln": FRAME, "rtp": packet(96, FRAME)}[encapsulation]
    assert wire.inbound.depacketize(heard, 0.0) == [Audio(FRAME)]
    assert str(wire.inbound.codec) == "slin"


@pytest.mark.parametrize(
    ("inbound", "pcm"),
    [("slin", MULAW), ("alaw", to_bytes(g711.alaw_decode(MULAW))), ("mulaw", FRAME)],
)
def test_the_setting_inbound_holds_whatever_comes(inbound, pcm):
    wire = dialled(Encapsulation.SLN, inbound=InboundCodec(inbound))
    (audio,) = wire.inbound.depacketize(MULAW, 0.0)
    assert audio.pcm == pcm


def test_a_dialled_peer_that_speaks_raw_pcm_is_answered_so():
    wire = dialled(Encapsulation.AUDIOSOCKET)
    wire.settle()
    assert wire.observe(FRAME) is True
    assert said(wire) == FRAME


# AudioSocket over TCP


def test_tcp_carries_bare_messages():
    wire = Wire(AUDIOSOCKET, carrier=Carrier.TCP)
    assert (wire.name, wire.listening, wire.observe(UUID_MESSAGE)) == ("audiosocket/tcp", False, False)
    wire.settle()
    assert (wire.observe(SOUND_MESSAGE), wire.undecided) == (False, False)
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
def test_a_channel_on_tcp_is_spoken_to_at_its_own_rate(kind, size, name):
    wire = Wire(AUDIOSOCKET, carrier=Carrier.TCP)
    head = bytes((kind,)) + size.to_bytes(2, "big")
    assert wire.observe(b"\x03\x00\x015") is False  # a key says nothing of it
    assert wire.observe(head + bytes(size)) is True
    messages = [*wire.messages(wire.encoding.packetize(FRAME) * 3)]
    assert [message[:3] for message in messages] == [head] * 3
    assert {len(message) for message in messages} == {3 + size}
    assert wire.name == f"audiosocket/tcp/{name}"
    wire.inbound.depacketize(head + bytes(size), 0.0)
    assert str(wire.inbound.codec) == "slin"
    assert wire.observe(SOUND_MESSAGE) is False


# Asterisk's WebSocket channel


def channel(name, frame_bytes=None):
    size = f" optimal_frame_size:{frame_bytes}" if frame_bytes else ""
    event = chan_websocket.parse(f"MEDIA_START format:{name}{size}")
    wire = Wire(WireSettings(lead=10))
    wire.use_format(event.media_format())
    return wire


@pytest.mark.parametrize(
    ("name", "payload", "header"),
    [("slin", FRAME, "827e0140"), ("ulaw", MULAW, "827e00a0"), ("alaw", ALAW, "827e00a0")],
)
def test_a_channel_is_spoken_to_and_heard_in_its_own_format(name, payload, header):
    wire = channel(name)
    assert wire.name == f"chan_websocket/{name}"
    (message,) = wire.messages([item := wire.encoding.encode(FRAME)])
    assert message is item  # the same bytes for every stream
    assert message == bytes.fromhex(header) + payload
    (audio,) = wire.inbound.depacketize(payload, 0.0)
    assert audio.pcm == (FRAME if name != "alaw" else to_bytes(g711.alaw_decode(ALAW)))


def test_only_a_channel_runs_further_ahead_than_three_frames():
    assert Wire(WireSettings(lead=10)).lead == 3
    assert channel("ulaw").lead == 10


@pytest.mark.parametrize(("name", "size"), [("slin12", 480), ("slin16", 640), ("slin44", 1764), ("slin48", 1920)])
def test_a_wideband_channel_gets_a_whole_frame_of_its_own_each_time(name, size):
    wire = channel(name)
    messages = [*wire.messages([wire.encoding.encode(FRAME)] * 5)]
    assert [message[:4] for message in messages] == [b"\x82\x7e" + size.to_bytes(2, "big")] * 5
    assert [len(message) - 4 for message in messages] == [size] * 5
    heard = [audio.pcm for n in range(5) for audio in wire.inbound.depacketize(messages[n][4:], n / 50)]
    assert [len(pcm) for pcm in heard] == [320] * 5
    assert str(wire.inbound.codec) == "slin"


def test_frames_longer_than_20_ms_go_out_together():
    wire = channel("ulaw", 320)
    assert [*wire.messages([wire.encoding.encode(FRAME)] * 4)] == [b"", b"\x82\x7e\x01\x40" + MULAW * 2] * 2


def test_what_is_left_of_a_longer_frame_is_filled_up_once():
    wire = channel("ulaw", 320)
    assert list(wire.messages([MULAW])) == [b""]
    assert (wire.rest(), wire.rest()) == (b"\x82\x7e\x01\x40" + MULAW + b"\xff" * 160, b"")
    assert Wire(SLN).rest() == b""


def test_a_channel_that_is_spoken_to_as_itself_is_so_whatever_the_settings_say():
    for settings in (AUDIOSOCKET, RTP):
        wire = Wire(settings)
        wire.use_format(ControlEvent("MEDIA_START", {"format": "ulaw"}).media_format())
        assert list(wire.messages([wire.encoding.encode(FRAME)])) == [b"\x82\x7e\x00\xa0" + MULAW]
        assert (wire.marks_talkspurts, wire.listening, wire.undecided) == (False, False, False)
        assert (wire.observe(SOUND_MESSAGE), wire.inbound.codec.settled) == (False, True)


def test_a_channel_that_begins_anew_in_another_format_forgets_the_one_before():
    wire = channel("slin16", 1280)
    assert list(wire.messages([FRAME])) == [b""]
    wire.use_format(ControlEvent("MEDIA_START", {"format": "ulaw"}).media_format())
    assert list(wire.messages([wire.encoding.encode(FRAME)])) == [b"\x82\x7e\x00\xa0" + MULAW]
    assert wire.rest() == b""


def test_a_format_that_we_do_not_speak_is_told_of_a_channel():
    wire = Wire(AUDIOSOCKET)
    wire.unspoken = "opus"
    assert wire.name == "chan_websocket/opus"


def test_only_rtp_tells_where_sound_follows_silence():
    assert [Wire(settings).marks_talkspurts for settings in (AUDIOSOCKET, SLN, RTP)] == [False, False, True]
    wire = Wire(RTP)
    seconds = []  # of the bytes of the RTP header: the marker, and payload type 0
    for begins in (True, None, False):
        if begins is not None:
            wire.talkspurt()
            wire.talkspurt(begins=begins)
        (message,) = wire.messages([MULAW])
        seconds.append(message[5])
    assert seconds == [0x80, 0, 0]
    Wire(SLN).talkspurt()


EVERY_SETTING = [WireSettings(*choice) for choice in itertools.product(Encapsulation, Framing, RtpPayload)]

ANYTHING = st.one_of(
    st.binary(max_size=400),
    st.binary(min_size=160, max_size=160),
    st.builds(audiosocket.Message, st.integers(0, 255), st.binary(max_size=40)).map(audiosocket.serialize),
    st.builds(packet, st.sampled_from([0, 8, 96, 101]), st.binary(max_size=40)),
)


@given(settings=st.sampled_from(EVERY_SETTING), conversation=st.lists(ANYTHING, min_size=1, max_size=12))
def test_arbitrary_bytes_raise_nothing_but_protocol_error_in_any_setting(settings, conversation):
    wire = Wire(settings)
    for n, data in enumerate(conversation):
        wire.observe(data)
        try:
            wire.inbound.depacketize(data, n * 0.02)
        except ProtocolError:
            continue
    assert wire.encoding in (PCM, MESSAGE, PCMU, PCMA, L16)


@pytest.mark.parametrize("settings", EVERY_SETTING)
def test_one_stream_understands_what_another_of_the_same_settings_sends(settings):
    sender, receiver = Wire(settings), Wire(settings)
    (message,) = sender.messages(sender.encoding.packetize(FRAME))
    (audio,) = receiver.inbound.depacketize(message[4:], 0.0)
    assert isinstance(audio, Audio)
    heard = struct.unpack("<160h", audio.pcm)
    assert heard == pytest.approx(SAMPLES, rel=0.02, abs=8)  # A-law has no zero, and both laws have steps
