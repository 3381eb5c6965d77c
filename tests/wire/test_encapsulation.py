"""The names of encapsulations, and the encoded frames of every encoding, to the byte."""

import struct

import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from mediaserver.wire.codec import Codec, InboundCodec
from mediaserver.wire.encapsulation import (
    L16,
    MESSAGE,
    PCM,
    PCMA,
    PCMU,
    TCP,
    ULAW,
    Encapsulation,
    Framing,
    RtpPayload,
    WireSettings,
)

SAMPLES = (-32124, 32124, 0, 8) * 40
FRAME = struct.pack("<160h", *SAMPLES)
MULAW = b"\x00\x80\xff\xfe" * 40
ALAW = b"\x2a\xaa\xd5\xd5" * 40


def test_the_names_of_the_settings():
    assert list(Encapsulation) == ["audiosocket", "rtp", "sln"]
    assert list(Framing) == ["auto", "pcm", "message"]
    assert list(RtpPayload) == ["auto", "pcmu", "pcma", "l16"]
    assert list(InboundCodec) == ["auto", *Codec] == ["auto", "slin", "mulaw", "alaw"]
    assert WireSettings() == WireSettings(Encapsulation.AUDIOSOCKET, Framing.AUTO, RtpPayload.AUTO)


# Frames of PCM to encoded frames


@pytest.mark.parametrize(
    ("encoding", "name", "encoded"),
    [
        (PCM, "pcm", b"\x82\x7e\x01\x40" + FRAME),
        (MESSAGE, "message", b"\x82\x7e\x01\x43" + b"\x10\x01\x40" + FRAME),
        (PCMU, "pcmu", MULAW),
        (PCMA, "pcma", ALAW),
        (L16, "l16", FRAME),
    ],
)
def test_the_encoded_frame_of_one_frame(encoding, name, encoded):
    assert encoding.name == name
    assert encoding.encode(FRAME) == encoded
    assert encoding.packetize(FRAME) == [encoded]


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
def test_the_encoded_frame_of_silence(encoding, silence):
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
def test_an_encoded_frame_is_decoded_with_the_loss_of_companding_only(encoding):
    kept = to_bytes(g711.alaw_decode(ALAW)) if encoding is PCMA else FRAME
    assert encoding.decode(encoding.encode(FRAME)) == kept


@pytest.mark.parametrize("encoding", [PCM, MESSAGE, TCP, ULAW, PCMU, PCMA, L16])
def test_frames_that_are_decoded_together_are_those_that_are_decoded_alone(encoding):
    frames = encoding.packetize(bytes(range(256)) * 5)
    assert encoding.decode_all(frames) == b"".join(map(encoding.decode, frames))
    assert encoding.decode_all([]) == b""


@pytest.mark.parametrize("encoding", [PCM, MESSAGE, PCMU, PCMA, L16])
def test_empty_pcm_has_no_encoded_frames(encoding):
    assert encoding.packetize(b"") == []
