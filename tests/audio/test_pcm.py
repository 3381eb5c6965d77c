"""Samples, bytes and frames."""

import numpy as np
import pytest

from mediaserver.audio import pcm


def test_bytes_are_16_bit_little_endian():
    samples = pcm.from_bytes(b"\x01\x00\x00\x80\xff\x7f\xff\xff")
    assert samples.tolist() == [1, -32768, 32767, -1]
    assert samples.dtype == np.int16
    assert pcm.to_bytes(samples) == b"\x01\x00\x00\x80\xff\x7f\xff\xff"


def test_half_a_sample_is_an_error():
    with pytest.raises(ValueError, match="multiple of element size"):
        pcm.from_bytes(b"\x01\x00\x02")


def test_no_bytes_are_no_samples():
    assert pcm.from_bytes(b"").tolist() == []
    assert pcm.to_bytes(np.zeros(0, dtype=np.int16)) == b""


def test_quantize_rounds_to_nearest_and_clips():
    signal = np.array([0, 0.5, -1, 1, 1.5, -1.5, 0.6 / 32768, -0.6 / 32768, 0.4 / 32768])
    samples = pcm.quantize(signal)
    assert samples.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 1, -1, 0]
    assert samples.dtype == np.int16


def test_a_frame_is_20_ms_at_8_khz():
    assert pcm.FRAME_SAMPLES == pcm.SAMPLE_RATE * pcm.PTIME == 160
    assert pcm.FRAMES_PER_SECOND * pcm.FRAME_SAMPLES == 8000
    assert pcm.FRAME_BYTES == len(pcm.SILENCE) == 320
    assert not any(pcm.SILENCE)


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0, 0), (0.009, 0), (0.011, 1), (0.02, 1), (1, 50), (59.999, 3000)]
)
def test_nearest_frame_count_rounds_to_a_whole_number(seconds, frames):
    assert pcm.nearest_frame_count(seconds) == frames


@pytest.mark.parametrize(("size", "padding"), [(0, 0), (1, 319), (319, 1), (320, 0), (321, 319)])
def test_pad_to_frames_fills_the_last_frame_with_silence(size, padding):
    assert pcm.pad_to_frames(b"x" * size) == b"x" * size + bytes(padding)


def test_chunks_have_one_size_whatever_the_sizes_of_the_pieces():
    chunks = pcm.Chunker(4)
    assert chunks.flush() == b""
    pieces = [chunks.feed(data) for data in (b"", b"abc", b"d", b"efghijkl", b"m", b"nopqrs")]
    assert pieces == [[], [], [b"abcd"], [b"efgh", b"ijkl"], [], [b"mnop"]]
    assert chunks.flush() == b"qrs"
    assert chunks.flush() == b""
    assert chunks.feed(b"tuvw") == [b"tuvw"]
