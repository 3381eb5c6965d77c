"""Frames of 20 ms as a peer's own, and what is left of one at the end."""

import struct

import pytest

from mediaserver.wire import websocket
from mediaserver.wire.packing import Packer

ITEM = struct.pack("<160h", *range(1, 161))
QUIET = bytes(320)


def bare(frames: bytes) -> bytes:
    return frames


def test_frames_of_another_length_take_several_items_or_share_one() -> None:
    longer = Packer(8000, 960, bare)  # 60 ms
    assert [longer.pack(ITEM) for _ in range(6)] == [b"", b"", ITEM * 3] * 2
    shorter = Packer(8000, 160, bare)  # 10 ms
    assert [shorter.pack(ITEM) for _ in range(2)] == [ITEM] * 2
    uneven = Packer(8000, 480, bare)  # 30 ms
    assert [len(uneven.pack(ITEM)) for _ in range(6)] == [0, 480, 480, 0, 480, 480]


@pytest.mark.parametrize(("silence", "fill"), [(QUIET, b"\0"), (b"\xff" * 160, b"\xff"), (b"\xd5" * 160, b"\xd5")])
def test_what_is_left_of_a_frame_is_filled_up_with_silence_once(silence: bytes, fill: bytes) -> None:
    packer = Packer(8000, 960, bare)
    assert packer.rest(silence) == b""
    packer.pack(ITEM)
    assert packer.rest(silence) == ITEM + fill * 640
    assert packer.rest(silence) == b""
    assert [packer.pack(ITEM) for _ in range(3)] == [b"", b"", ITEM * 3]
    assert packer.rest(silence) == b""


def test_what_the_filter_of_another_rate_holds_back_comes_with_the_rest() -> None:
    loud = struct.pack("<160h", *[8000] * 160)
    packer = Packer(16_000, 640, bare)
    sent = [packer.pack(loud) for _ in range(3)]
    assert [len(message) for message in sent] == [640] * 3
    last = packer.rest(QUIET)
    assert len(last) == 640
    samples = struct.unpack("<320h", last)
    assert samples[0] > 7000  # the end of what was loud
    assert samples[-1] == 0


@pytest.mark.parametrize(
    ("packer", "head"),
    [(Packer(8000, 960), websocket.header(960)), (Packer(8000, 960, lambda data: b"head" + data), b"head")],
)
def test_each_message_is_wrapped_and_none_that_is_empty(packer: Packer, head: bytes) -> None:
    assert packer.pack(ITEM) == packer.pack(ITEM) == b""
    assert packer.pack(ITEM) == head + ITEM * 3
    assert packer.rest(QUIET) == b""
    packer.pack(ITEM)
    assert packer.rest(QUIET) == head + ITEM + bytes(640)
