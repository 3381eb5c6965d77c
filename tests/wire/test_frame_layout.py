"""Frames of many streams that lie alike in their messages: which of these match, and their samples."""

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes
from mediaserver.wire.codec import Codec
from mediaserver.wire.frame_layout import frame_layout

CODES = bytes(range(160))
PCM = bytes(range(256)) + bytes(64)


def rows(*messages: bytes) -> np.ndarray:
    return np.stack([np.frombuffer(message, np.uint8) for message in messages])


def test_a_message_matches_where_all_of_its_header_does() -> None:
    layout = frame_layout(b"\x10\x01\x40", Codec.SLIN)
    headers = (b"\x10\x01\x40", b"\x11\x01\x40", b"\x10\x01\x41", b"\x01\x02\x03")
    assert layout.matches(rows(*(header + PCM for header in headers))) == [True, False, False, False]


def test_every_message_matches_a_layout_without_a_header() -> None:
    assert frame_layout(b"", Codec.SLIN).matches(rows(PCM, bytes(320))) == [True, True]


@pytest.mark.parametrize("header", [b"", b"\x10\x01\x40"])
@pytest.mark.parametrize(
    ("codec", "payload", "samples"),
    [
        (Codec.SLIN, PCM, from_bytes(PCM)),
        (Codec.MULAW, CODES, g711.mulaw_decode(CODES)),
        (Codec.ALAW, CODES, g711.alaw_decode(CODES)),
    ],
)
def test_the_samples_are_those_of_each_message_alone(
    header: bytes, codec: Codec, payload: bytes, samples: np.ndarray
) -> None:
    decoded = frame_layout(header, codec).decode(rows(header + payload, header + payload[::-1][: len(payload)]))
    assert (decoded.shape, decoded.dtype) == ((2, 160), np.int16)
    assert (decoded[0] == samples).all()
    assert not (decoded[1] == samples).all()


def test_streams_with_one_layout_share_one_object() -> None:
    assert frame_layout(b"\x10", Codec.ALAW) is frame_layout(b"\x10", Codec.ALAW)
    assert frame_layout(b"\x10", Codec.ALAW) is not frame_layout(b"\x11", Codec.ALAW)
