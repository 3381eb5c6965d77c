"""What a stream with each of the settings sends and decodes, to the byte."""

import itertools
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, rtp
from mediaserver.wire.encapsulation import (
    L16,
    MESSAGE,
    PCM,
    PCMA,
    PCMU,
    Encapsulation,
    Framing,
    RtpPayload,
    WireSettings,
    first_encoding,
)
from mediaserver.wire.events import Audio, Digit, Fault, Hangup, Identity
from mediaserver.wire.rtp import Packet
from mediaserver.wire.wire import Wire

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


# Encoded frames to messages


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
    wire.mark_talkspurt()
    sent = [rtp.parse(message[4:]) for message in wire.messages([MULAW, MULAW, MULAW])]
    assert [p.marker for p in sent] == [True, False, False]
    assert [(p.sequence - sent[0].sequence) % 2**16 for p in sent] == [0, 1, 2]
    assert [(p.timestamp - sent[0].timestamp) % 2**32 for p in sent] == [0, 160, 320]
    assert len({p.ssrc for p in sent}) == 1


def test_messages_are_made_one_by_one_as_they_are_taken():
    wire = Wire(RTP)
    messages = wire.messages(itertools.repeat(MULAW))
    wire.mark_talkspurt()
    first, second = (rtp.parse(next(messages)[4:]) for _ in range(2))
    assert (first.marker, second.marker) == (True, False)


@pytest.mark.parametrize("settings", [AUDIOSOCKET, SLN])
def test_marking_a_talkspurt_changes_nothing_in_other_encapsulations(settings):
    wire = Wire(settings)
    wire.mark_talkspurt()
    assert list(wire.messages([PCM.silence])) == [PCM.silence]


@pytest.mark.parametrize("settings", [AUDIOSOCKET, audiosocket_as(Framing.MESSAGE), SLN, RTP])
def test_a_client_s_messages_are_masked_only_as_they_are_written(settings):
    wire = Wire(settings, dialled=True)
    sent = list(wire.messages(wire.encoding.packetize(FRAME) * 3))
    assert [message[:2] for message in sent] == [b"\x82\x7e"] * 3
    for message in sent:
        if settings is RTP:
            assert (rtp.parse(message[4:]).payload_type, rtp.parse(message[4:]).payload) == (96, FRAME)
        else:
            assert message == wire.encoding.encode(FRAME)


def test_a_cached_message_is_sent_as_it_is():
    item = PCM.silence
    (message,) = Wire(SLN).messages([item])
    assert message is item  # the same bytes for every stream


# Negotiation of `auto`


@pytest.mark.parametrize("first", [SOUND_MESSAGE, UUID_MESSAGE, b"\x00\x00\x00"], ids=["sound", "uuid", "hangup"])
def test_a_peer_that_starts_in_messages_is_answered_in_messages(first):
    wire = Wire(AUDIOSOCKET)
    assert (wire.awaits_first_message, wire.name) == (True, "audiosocket/pcm")
    assert wire.negotiate(first) is True
    assert (wire.awaits_first_message, wire.name, wire.encoding) == (False, "audiosocket/message", MESSAGE)


@pytest.mark.parametrize(
    "first",
    [FRAME, b"", b"\x10\x01", SOUND_MESSAGE[:-1], SOUND_MESSAGE + b"\0"],
    ids=["raw PCM", "nothing", "two bytes", "cut short", "too long"],
)
def test_a_peer_that_starts_with_anything_else_is_answered_in_pcm(first):
    wire = Wire(AUDIOSOCKET)
    assert wire.negotiate(first) is False
    assert (wire.awaits_first_message, wire.encoding) == (False, PCM)


@pytest.mark.parametrize(("first", "encoding"), [(SOUND_MESSAGE, MESSAGE), (FRAME, PCM)])
def test_only_the_first_message_decides(first, encoding):
    wire = Wire(AUDIOSOCKET)
    wire.negotiate(first)
    for later in (FRAME, SOUND_MESSAGE, UUID_MESSAGE, b""):
        assert wire.negotiate(later) is False
    assert wire.encoding is encoding


def test_a_peer_silent_until_the_first_frame_is_due_gets_pcm_for_good():
    wire = Wire(AUDIOSOCKET)
    wire.fix_framing()
    assert (wire.awaits_first_message, wire.encoding) == (False, PCM)
    assert wire.negotiate(SOUND_MESSAGE) is False
    assert wire.encoding is PCM


def test_fix_framing_keeps_the_framing_that_the_peer_has_decided():
    wire = Wire(AUDIOSOCKET)
    wire.negotiate(SOUND_MESSAGE)
    wire.fix_framing()
    assert wire.encoding is MESSAGE


@pytest.mark.parametrize(
    ("payload_type", "encoding", "start"),
    [(0, PCMU, "82 7e 00ac 80 00"), (8, PCMA, "82 7e 00ac 80 08"), (96, L16, "82 7e 014c 80 60")],
)
def test_rtp_follows_the_payload_type_of_the_peer(payload_type, encoding, start):
    wire = Wire(RTP)
    assert wire.encoding is PCMU
    assert wire.negotiate(packet(payload_type)) is (encoding is not PCMU)
    assert wire.encoding is encoding
    (message,) = wire.messages([encoding.encode(FRAME)])
    assert message[:6] == bytes.fromhex(start)
    assert message[16:] == encoding.encode(FRAME)


@pytest.mark.parametrize(
    "unknown", [packet(101), packet(127), b"", b"\x80", FRAME], ids=["101", "127", "nothing", "byte", "PCM"]
)
def test_rtp_waits_for_the_first_packet_of_a_payload_type_it_knows(unknown):
    wire = Wire(RTP)
    assert wire.negotiate(unknown) is False
    assert wire.encoding is PCMU
    assert wire.negotiate(packet(96)) is True
    assert wire.encoding is L16


def test_rtp_goes_on_negotiating_after_the_first_frame_and_does_not_wait():
    wire = Wire(RTP)
    assert wire.awaits_first_message is False
    wire.fix_framing()
    assert wire.negotiate(packet(8)) is True
    assert wire.encoding is PCMA


def test_rtp_follows_the_peer_once():
    wire = Wire(RTP)
    wire.negotiate(packet(8))
    assert wire.negotiate(packet(96)) is False
    assert wire.encoding is PCMA


def test_another_payload_type_continues_the_sequence():
    wire = Wire(RTP)
    before = [rtp.parse(message[4:]) for message in wire.messages([MULAW])]
    wire.negotiate(packet(96))
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
@pytest.mark.parametrize("dialled", [False, True])
def test_explicit_settings_never_change(settings, encoding, heard, dialled):
    wire = Wire(settings, dialled=dialled)
    assert first_encoding(settings) is encoding
    assert wire.encoding is encoding
    assert wire.awaits_first_message is False
    assert wire.negotiating is False
    assert wire.negotiate(heard) is False
    wire.fix_framing()
    assert wire.encoding is encoding


# What the peer sends


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
def test_messages_become_events(settings, data, events):
    wire = Wire(settings)
    wire.negotiate(data)
    assert wire.inbound.depacketize(data, 0.0) == events


def test_steady_mulaw_under_sln_is_decoded_as_mulaw():
    wire = Wire(SLN)
    assert [wire.inbound.depacketize(MULAW, n / 50) for n in range(50)] == [[Audio(FRAME)]] * 50


def test_audiosocket_messages_are_parsed_even_if_we_send_pcm():
    wire = Wire(AUDIOSOCKET)
    wire.fix_framing()
    assert wire.inbound.depacketize(UUID_MESSAGE, 0.0) == [Identity(UUID(int=0))]
    assert wire.inbound.depacketize(SOUND_MESSAGE, 0.02) == [Audio(FRAME)]


@pytest.mark.parametrize("first_bytes", [b"\x00\x01\x3d", b"\x10\x01\x3d", b"\x40\x01\x3d", b"\xff\x01\x3d"])
def test_raw_audio_that_looks_like_a_message_by_chance_is_still_audio(first_bytes):
    raw = first_bytes + bytes(317)  # 320 bytes, of which the second and third say "317 to come"
    wire = Wire(AUDIOSOCKET)
    wire.negotiate(FRAME)
    assert wire.inbound.depacketize(FRAME, 0.0) == [Audio(FRAME)]
    assert wire.inbound.depacketize(raw, 0.02) == [Audio(raw)]


def test_the_framing_of_the_first_message_holds_for_received_messages_too():
    raw = b"\x10\x01\x3d" + bytes(317)
    wire = Wire(AUDIOSOCKET)
    wire.negotiate(FRAME)
    assert wire.inbound.depacketize(raw, 0.0) == [Audio(raw)]
    wire = Wire(AUDIOSOCKET)
    wire.negotiate(SOUND_MESSAGE)
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
def test_errors_say_what_is_wrong_with_a_message(settings, data, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        Wire(settings).inbound.depacketize(data, 0.0)


# All of them


def test_only_rtp_marks_talkspurts():
    assert [Wire(settings).marks_talkspurts for settings in (AUDIOSOCKET, SLN, RTP)] == [False, False, True]
    wire = Wire(RTP)
    seconds = []  # of the bytes of the RTP header: the marker, and payload type 0
    for begins in (True, None, False):
        if begins is not None:
            wire.mark_talkspurt()
            wire.mark_talkspurt(begins=begins)
        (message,) = wire.messages([MULAW])
        seconds.append(message[5])
    assert seconds == [0x80, 0, 0]
    Wire(SLN).mark_talkspurt()


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
        wire.negotiate(data)
        try:
            wire.inbound.depacketize(data, n * 0.02)
        except ProtocolError:
            continue
    assert wire.encoding in (PCM, MESSAGE, PCMU, PCMA, L16)


@pytest.mark.parametrize("settings", EVERY_SETTING)
def test_a_stream_decodes_what_another_with_the_same_settings_sends(settings):
    sender, receiver = Wire(settings), Wire(settings)
    (message,) = sender.messages(sender.encoding.packetize(FRAME))
    (audio,) = receiver.inbound.depacketize(message[4:], 0.0)
    assert isinstance(audio, Audio)
    heard = struct.unpack("<160h", audio.pcm)
    assert heard == pytest.approx(SAMPLES, rel=0.02, abs=8)  # A-law has no zero, and both laws have steps
