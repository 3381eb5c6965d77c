"""Frames of 20 ms repacked as a peer's frames, and the last one when a stream ends."""

import struct

import pytest

from mediaserver.wire import websocket
from mediaserver.wire.repacketizer import Repacketizer

ITEM = struct.pack("<160h", *range(1, 161))
QUIET = bytes(320)


def bare(frames: bytes) -> bytes:
    return frames


def test_longer_frames_take_several_frames_of_ours_and_shorter_ones_share_one() -> None:
    longer = Repacketizer(8000, 960, bare)  # 60 ms
    assert [longer.pack(ITEM) for _ in range(6)] == [b"", b"", ITEM * 3] * 2
    shorter = Repacketizer(8000, 160, bare)  # 10 ms
    assert [shorter.pack(ITEM) for _ in range(2)] == [ITEM] * 2
    uneven = Repacketizer(8000, 480, bare)  # 30 ms
    assert [len(uneven.pack(ITEM)) for _ in range(6)] == [0, 480, 480, 0, 480, 480]


@pytest.mark.parametrize(("silence", "fill"), [(QUIET, b"\0"), (b"\xff" * 160, b"\xff"), (b"\xd5" * 160, b"\xd5")])
def test_flush_pads_the_last_frame_with_silence_once(silence: bytes, fill: bytes) -> None:
    repacketizer = Repacketizer(8000, 960, bare)
    assert repacketizer.flush(silence) == b""
    repacketizer.pack(ITEM)
    assert repacketizer.flush(silence) == ITEM + fill * 640
    assert repacketizer.flush(silence) == b""
    assert [repacketizer.pack(ITEM) for _ in range(3)] == [b"", b"", ITEM * 3]
    assert repacketizer.flush(silence) == b""


def test_flush_includes_the_delay_of_the_resampler() -> None:
    loud = struct.pack("<160h", *[8000] * 160)
    repacketizer = Repacketizer(16_000, 640, bare)
    sent = [repacketizer.pack(loud) for _ in range(3)]
    assert [len(message) for message in sent] == [640] * 3
    last = repacketizer.flush(QUIET)
    assert len(last) == 640
    samples = struct.unpack("<320h", last)
    assert samples[0] > 7000  # the end of what was loud
    assert samples[-1] == 0


@pytest.mark.parametrize(
    ("repacketizer", "head"),
    [
        (Repacketizer(8000, 960), websocket.header(960)),
        (Repacketizer(8000, 960, lambda data: b"head" + data), b"head"),
    ],
)
def test_each_message_is_wrapped_unless_it_is_empty(repacketizer: Repacketizer, head: bytes) -> None:
    assert repacketizer.pack(ITEM) == repacketizer.pack(ITEM) == b""
    assert repacketizer.pack(ITEM) == head + ITEM * 3
    assert repacketizer.flush(QUIET) == b""
    repacketizer.pack(ITEM)
    assert repacketizer.flush(QUIET) == head + ITEM + bytes(640)
