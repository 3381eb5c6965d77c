"""RTP packets, field by field as RFC 3550 lays them out."""

import contextlib
import random
import struct
from collections import deque
from itertools import islice, repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaserver.errors import ProtocolError
from mediaserver.wire import rtp
from mediaserver.wire.codec import CodecDetector
from mediaserver.wire.depacketizers import RtpDepacketizer
from mediaserver.wire.events import Audio
from mediaserver.wire.rtp import Packet, Packetizer, PayloadType

U32 = st.integers(0, 2**32 - 1)
PACKETS = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 2**16 - 1),
    timestamp=U32,
    ssrc=U32,
    payload=st.binary(max_size=400),
    marker=st.booleans(),
    csrcs=st.lists(U32, max_size=15).map(tuple),
    extension=st.none()
    | st.tuples(
        st.integers(0, 2**16 - 1), st.integers(0, 5).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
    ),
)
HEADER = bytes.fromhex("80 00 0001 000000a0 deadbeef")
"""Version 2, PCMU, sequence number 1, timestamp 160, SSRC deadbeef."""


def test_the_bytes_of_a_plain_packet():
    packet = Packet(0, 1, 160, 0xDEADBEEF, b"sound")
    assert rtp.serialize(packet) == HEADER + b"sound"
    assert rtp.parse(HEADER + b"sound") == packet


def test_the_bytes_of_a_packet_with_everything():
    packet = Packet(96, 0xFFFE, 0xFFFFFFFF, 1, b"\x07", True, (2, 0xCAFEBABE), (0xBEDE, b"wordword"))
    data = bytes.fromhex("92 e0 fffe ffffffff 00000001 00000002 cafebabe bede 0002") + b"wordword\x07"
    assert rtp.serialize(packet) == data
    assert rtp.parse(data) == packet


def test_an_extension_may_have_hundreds_of_words():
    packet = Packet(0, 1, 160, 1, b"\x07", extension=(0xBEDE, b"word" * 257))
    assert rtp.serialize(packet)[12:16] == bytes.fromhex("bede 0101")
    assert rtp.parse(rtp.serialize(packet)) == packet


@given(PACKETS)
def test_parse_undoes_serialize(packet):
    assert rtp.parse(rtp.serialize(packet)) == packet


@given(PACKETS, st.integers(1, 255))
def test_padding_is_taken_off(packet, padding):
    data = bytearray(rtp.serialize(packet) + bytes(padding - 1) + bytes((padding,)))
    data[0] |= 0x20
    assert rtp.parse(bytes(data)) == packet


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "RTP header cut short: 0 of 12 bytes"),
        (HEADER[:11], "RTP header cut short: 11 of 12 bytes"),
        (b"\x00" + HEADER[1:], "RTP version 0, not 2"),
        (b"\xc0" + HEADER[1:], "RTP version 3, not 2"),
        (b"\x81" + HEADER[1:] + b"abc", "RTP packet cut short: 15 bytes"),  # a CSRC of three bytes
        (b"\x90" + HEADER[1:] + b"\xbe\xde\x00", "RTP packet cut short: 15 bytes"),  # half an extension header
        (
            b"\x90" + HEADER[1:] + b"\xbe\xde\x00\x01abc",
            "RTP packet cut short: 19 bytes",
        ),  # three quarters of a word
        (b"\xa0" + HEADER[1:] + b"abc\x00", "RTP packet cut short: 16 bytes"),  # a padding of nothing
        (b"\xa0" + HEADER[1:] + b"abc\x05", "RTP packet cut short: 16 bytes"),  # a padding over the payload
    ],
)
def test_errors_say_what_is_wrong_with_a_packet(data, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        rtp.parse(data)


def heard(data):
    """The PCM of a lone packet of a peer that dialled us."""
    events = RtpDepacketizer(CodecDetector()).depacketize(data, 0.0)
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


@pytest.mark.parametrize(
    ("payload_type", "payload", "samples"),
    [
        (0, b"\x00\x80\xff", [-32124, 32124, 0]),
        (8, b"\x2a\xaa\xd5", [-32256, 32256, 8]),
        (96, b"\x01\x00\xff\x7f", [1, 32767]),  # little-endian
        (0, b"", []),
    ],
    ids=["PCMU", "PCMA", "L16", "no payload"],
)
def test_sound_is_decoded_by_payload_type(payload_type, payload, samples):
    data = rtp.serialize(Packet(payload_type, 7, 7, 0, payload))
    assert heard(data) == struct.pack(f"<{len(samples)}h", *samples)


@pytest.mark.parametrize(
    ("payload_type", "payload", "message"),
    [
        (101, bytes(5), r"RTP payload type 101 is none of 0 \(PCMU\), 8 \(PCMA\), 96 \(L16\)"),
        (13, bytes(4), r"RTP payload type 13 is none of 0 \(PCMU\), 8 \(PCMA\), 96 \(L16\)"),
        (101, bytes(4), r"RTP payload type 101 is none of .*; these look like keys \(RFC 4733\), which are .*"),
        (96, bytes(3), "3 bytes are not 16-bit PCM"),
    ],
)
def test_unsupported_payloads_are_errors(payload_type, payload, message):
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        heard(rtp.serialize(Packet(payload_type, 7, 7, 0, payload)))


@given(st.binary(max_size=400) | st.binary(max_size=100).map(lambda rest: b"\x80" + rest))
@example(b"")
@example(HEADER)
def test_arbitrary_bytes_raise_nothing_but_protocol_error(data):
    with contextlib.suppress(ProtocolError):
        heard(data)


@given(first=st.integers(0, 255), second=st.integers(0, 255), rest=st.binary(min_size=10, max_size=100))
def test_arbitrary_flags_raise_nothing_but_protocol_error(first, second, rest):
    data = bytes((first & 0x3F | 0x80, second)) + rest
    try:
        packet = rtp.parse(data)
    except ProtocolError:
        return
    if not first & 0x20:  # all but padding is kept
        assert rtp.serialize(packet) == data


# The packetizer


def starting_at(sequence, timestamp_and_ssrc, payload_type=PayloadType.PCMU):
    return Packetizer(payload_type, lambda bits: {16: sequence, 32: timestamp_and_ssrc}[bits])


def packets(packetizer, count, size=160):
    """The fields of so many packets, all of one run."""
    return [fields(message) for message in islice(packetizer.packets(repeat(bytes(size))), count)]


def packet(packetizer, size=160):
    """The fields of one packet, a run by itself."""
    (message,) = packetizer.packets([bytes(size)])
    return fields(message)


def fields(message):
    """(marker, payload type, sequence, timestamp, ssrc, payload) of a whole unfragmented WebSocket message."""
    opcode, short, length, first, second, sequence, timestamp, ssrc = struct.unpack_from(">BBHBBHII", message)
    assert (opcode, short, length) == (0x82, 126, len(message) - 4)
    assert first == 0x80  # version 2, no padding, no extension, no CSRC
    return second >> 7, second & 0x7F, sequence, timestamp, ssrc, message[16:]


@pytest.mark.parametrize(
    ("payload_type", "width", "message"),
    [
        (PayloadType.PCMU, 160, "82 7e 00ac 80 00 0102 03040506 03040506"),
        (PayloadType.PCMA, 160, "82 7e 00ac 80 08 0102 03040506 03040506"),
        (PayloadType.L16, 320, "82 7e 014c 80 60 0102 03040506 03040506"),
    ],
)
def test_a_packet_is_one_whole_websocket_message(payload_type, width, message):
    payload = bytes(range(160)) * (width // 160)
    (sent,) = starting_at(0x0102, 0x03040506, payload_type).packets([payload])
    assert sent == bytes.fromhex(message) + payload
    assert len(sent) == 4 + 12 + width


def test_sequence_goes_up_by_1_and_timestamp_by_160_under_one_ssrc():
    sent = packets(starting_at(1000, 50_000), 4)
    assert [packet[2] for packet in sent] == [1000, 1001, 1002, 1003]
    assert [packet[3] for packet in sent] == [50_000, 50_160, 50_320, 50_480]
    assert {packet[4] for packet in sent} == {50_000}


def test_payloads_may_have_another_size_than_their_type_implies():
    packetizer = Packetizer(PayloadType.PCMU, payload_bytes=320)
    assert packet(packetizer, 320)[1::4] == (0, bytes(320))
    packetizer.set_payload_type(PayloadType.L16, 160)
    assert packet(packetizer, 160)[1::4] == (96, bytes(160))


def test_sequence_and_timestamp_wrap():
    sent = packets(starting_at(65535, 2**32 - 100), 3)
    assert [packet[2] for packet in sent] == [65535, 0, 1]
    assert [packet[3] for packet in sent] == [2**32 - 100, 60, 220]
    assert {packet[4] for packet in sent} == {2**32 - 100}


def test_sequence_and_timestamp_wrap_again_and_again():
    packetizer = starting_at(0, 2**32 - 160 * 70_000)
    last = deque(packetizer.packets(repeat(bytes(160), 140_001)), maxlen=1).pop()
    assert fields(last)[2:4] == (140_000 % 2**16, 160 * 70_000)


def test_the_end_of_the_payloads_uses_up_no_sequence_number():
    packetizer = starting_at(10, 1600)
    runs = [list(packetizer.packets([bytes(160)] * count)) for count in (2, 0, 1, 3)]
    sent = [fields(message) for run in runs for message in run]
    assert [packet[2] for packet in sent] == [10, 11, 12, 13, 14, 15]
    assert [packet[3] for packet in sent] == [1600 + 160 * n for n in range(6)]


def test_the_marker_is_on_the_first_packet_of_a_talkspurt_only():
    packetizer = starting_at(0, 0)
    markers = []
    for begins in (False, True, False, False, True, True, False):
        if begins:
            packetizer.mark_talkspurt()
        markers += [sent[0] for sent in packets(packetizer, 3)]
    assert markers == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]


def test_a_talkspurt_may_begin_when_the_first_payload_is_asked_for():
    packetizer = starting_at(0, 0)

    def payloads():
        packetizer.mark_talkspurt()
        yield from (bytes(160), bytes(160))

    assert [fields(message)[0] for message in packetizer.packets(payloads())] == [1, 0]


def test_a_talkspurt_mark_that_is_taken_back_leaves_nothing():
    packetizer = starting_at(0, 0)
    packetizer.mark_talkspurt()
    packetizer.mark_talkspurt(begins=False)
    assert packet(packetizer)[:2] == (0, 0)


def test_the_marker_does_not_touch_the_payload_type():
    packetizer = starting_at(0, 0, PayloadType.L16)
    packetizer.mark_talkspurt()
    assert packet(packetizer, 320)[:2] == (1, 96)


def test_another_payload_type_goes_on_in_the_same_sequence():
    packetizer = starting_at(7, 1600)
    packet(packetizer)
    packetizer.set_payload_type(PayloadType.L16)
    assert packet(packetizer, 320) == (0, 96, 8, 1760, 1600, bytes(320))
    packetizer.set_payload_type(PayloadType.PCMA)
    assert packet(packetizer) == (0, 8, 9, 1920, 1600, bytes(160))


def test_start_values_come_from_random_bits():
    asked = []

    def random_bits(bits):
        asked.append(bits)
        return len(asked)

    _, _, sequence, timestamp, ssrc, _ = packet(Packetizer(PayloadType.PCMU, random_bits))
    assert sorted(asked) == [16, 32, 32]
    assert sequence == asked.index(16) + 1
    assert sorted((sequence, timestamp, ssrc)) == [1, 2, 3]


def test_two_packetizers_start_apart():
    state = random.getstate()
    try:
        random.seed(20)
        one, other = (packet(Packetizer(PayloadType.PCMU))[2:5] for _ in range(2))
    finally:
        random.setstate(state)
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))
