"""Signed linear, and the µ-law that may go under its name."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaserver.errors import ProtocolError
from mediaserver.wire.events import Audio
from mediaserver.wire.sln import Depacketizer

FRAME = bytes(range(256)) + bytes(64)
HALF = b"\x80\x00" * 80
"""160 bytes: as µ-law 160 samples of ±32 124, as linear PCM 80 samples of 128."""
HALF_AS_MULAW = b"\x7c\x7d\x84\x82" * 80


def arrivals(per_second, count, size=160):
    """What a depacketizer makes of `count` messages of HALF that arrive at an even pace."""
    depacketizer = Depacketizer()
    return [depacketizer.depacketize(HALF[:size], 1000 + n / per_second).pcm for n in range(count)]


def test_320_bytes_are_linear_as_they_are():
    depacketizer = Depacketizer()
    assert [depacketizer.depacketize(FRAME, n / 50) for n in range(100)] == [Audio(FRAME)] * 100


def test_steady_160_byte_messages_at_50_per_second_are_mulaw():
    assert arrivals(50, 500) == [HALF_AS_MULAW] * 500


@pytest.mark.parametrize("per_second", [45, 49, 51, 55])
def test_a_clock_somewhat_off_makes_no_difference(per_second):
    assert arrivals(per_second, 500) == [HALF_AS_MULAW] * 500


@pytest.mark.parametrize("per_second", [90, 100, 110])
def test_steady_160_byte_messages_at_100_per_second_are_linear_once_there_are_enough(per_second):
    heard = arrivals(per_second, 500)
    assert heard[:9] == [HALF_AS_MULAW] * 9  # too few to tell
    assert heard[9:] == [HALF] * 491


def test_jitter_of_a_network_makes_no_difference():
    depacketizer = Depacketizer()
    late = [0, 3, 19, 15, 1, 8, 12, 0, 5, 17]  # ms
    heard = [depacketizer.depacketize(HALF, n / 50 + late[n % 10] / 1000).pcm for n in range(100)]
    assert heard == [HALF_AS_MULAW] * 100


def test_another_size_starts_the_count_over():
    depacketizer = Depacketizer()
    for n in range(20):
        depacketizer.depacketize(HALF, n / 100)
    assert depacketizer.depacketize(FRAME, 0.2) == Audio(FRAME)
    assert depacketizer.depacketize(HALF, 0.21).pcm == HALF_AS_MULAW
    assert [depacketizer.depacketize(HALF, 0.21 + n / 100).pcm for n in range(1, 20)][8:] == [HALF] * 11


def test_a_pause_does_not_turn_linear_sound_into_mulaw():
    depacketizer = Depacketizer()
    times = [n / 100 for n in range(1000)] + [15 + n / 100 for n in range(100)]  # five seconds without a word
    heard = [depacketizer.depacketize(HALF, at).pcm for at in times]
    assert heard[9:1000] == [HALF] * 991
    assert heard[1010:] == [HALF] * 90  # a few to tell the rate again, no more


@pytest.mark.parametrize("size", [2, 80, 158, 162, 640, 65534])
def test_any_whole_number_of_samples_is_sound(size):
    assert Depacketizer().depacketize(bytes(size), 0) == Audio(bytes(size))


@pytest.mark.parametrize("size", [0, 1, 159, 319])
def test_half_a_sample_is_an_error(size):
    with pytest.raises(ProtocolError, match=f"^{size} bytes are not 16-bit PCM$"):
        Depacketizer().depacketize(bytes(size), 0)


@given(st.lists(st.tuples(st.binary(max_size=330) | st.just(HALF), st.floats(0, 1)), max_size=30))
@example([(HALF, 0.0)] * 30)
def test_arbitrary_bytes_raise_nothing_but_protocol_error(messages):
    depacketizer, at = Depacketizer(), 0.0
    for data, later in messages:
        at += later
        try:
            audio = depacketizer.depacketize(data, at)
        except ProtocolError:
            assert not data or len(data) % 2
            continue
        assert len(audio.pcm) in (len(data), 2 * len(data))
