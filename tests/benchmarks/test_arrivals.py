"""Times of arrival to figures of pacing, and bytes to frames."""

import math

import numpy as np
import pytest

from benchmarks.listeners.arrivals import Arrivals, measure_pacing, percentile
from benchmarks.listeners.frames import Frame, take_frames
from mediaserver.transport.masking import mask
from mediaserver.wire import websocket


def paced(*streams: list[float], end: float = 0.0) -> tuple[np.ndarray, np.ndarray, float]:
    """Streams given as their frames' times in ms, all in order of time, and an end."""
    pairs = sorted((at / 1000, number) for number, times in enumerate(streams) for at in times)
    return np.array([number for _, number in pairs], int), np.array([at for at, _ in pairs]), end / 1000


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (99.1, 100), (100, 100)]
)
def test_percentiles_are_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile(np.arange(100.0, 0.0, -1), percent) == value


def test_a_percentile_of_nothing() -> None:
    assert math.isnan(percentile(np.empty(0), 50))


def test_each_stream_has_its_own_schedule() -> None:
    even = [3.0, 23.0, 43.0, 63.0]
    uneven = [0.0, 25.0, 40.0, 61.0]
    result = measure_pacing(*paced(even, uneven))
    assert sorted(np.round(result.lateness * 1000, 6)) == [0, 0, 0, 0, 0, 0, 1, 5]
    assert sorted(np.round(result.deviations * 1000, 6)) == [0, 0, 0, 1, 5, 5]


def test_late_is_against_the_earliest_frame_wherever_it_stands() -> None:
    result = measure_pacing(*paced([7.0, 27.0, 40.0, 60.0]))
    assert np.round(result.lateness * 1000, 6).tolist() == [7, 7, 0, 0]


def test_drift_is_each_streams_slope() -> None:
    slow = [number * 20 * (1 + 50e-6) for number in range(1000)]
    fast = [5 + number * 20 * (1 - 20e-6) for number in range(1000)]
    result = measure_pacing(*paced(slow, fast))
    assert result.drifts.tolist() == pytest.approx([50, -20], abs=0.01)


def test_a_frame_that_has_not_come_is_late_as_well() -> None:
    stopped, on_time = [5.0, 25.0, 40.0], [15.0, 35.0, 55.0, 75.0]
    result = measure_pacing(*paced(stopped, on_time, [30.0], end=95))
    assert sorted(np.round(result.lateness * 1000, 6)) == [0, 0, 0, 0, 0, 0, 5, 5, 35, 45]


def test_each_lateness_comes_with_when_the_frame_was_due() -> None:
    result = measure_pacing(*paced([5.0, 31.0], [15.0, 35.0, 55.0], end=60))
    told = zip(np.round(result.due * 1000, 6), np.round(result.lateness * 1000, 6), strict=True)
    assert sorted(told) == [(5, 0), (15, 0), (25, 6), (35, 0), (45, 15), (55, 0)]


def test_a_stream_of_one_frame_has_no_rhythm() -> None:
    result = measure_pacing(*paced([1.0], [0.0, 20.0], [2.0]))
    assert (len(result.deviations), len(result.lateness), len(result.drifts)) == (1, 4, 1)
    assert len(measure_pacing(*paced()).lateness) == 0


def test_arrivals_grow_and_are_told_by_time() -> None:
    arrivals = Arrivals(room=2)
    arrivals.add([7, 5], 1.0)
    arrivals.add([5], 2.0)
    arrivals.add([7, 9, 5, 7], 3.0)
    arrivals.add([5], 4.0)
    streams, times = arrivals.between(2.0, 4.0)
    assert (streams.tolist(), times.tolist()) == ([5, 7, 9, 5, 7], [2, 3, 3, 3, 3])
    assert arrivals.firsts() == {7: 1.0, 5: 1.0, 9: 3.0}


SIZES = [0, 1, 125, 126, 320, 65_535, 65_536]


@pytest.mark.parametrize("size", SIZES)
def test_frames_of_every_length_split_anywhere(size: int) -> None:
    lengths = {size < 126: bytes((size & 0x7F,)), 126 <= size < 65_536: b"\x7e" + size.to_bytes(3, "big")[1:]}
    header = b"\x82" + lengths.get(True, b"\x7f" + size.to_bytes(8, "big"))
    whole, payload = header + bytes(size), bytes(size)
    for cut in {*range(min(15, len(whole))), len(whole) // 2, len(whole) - 1}:
        assert take_frames(whole[:cut]) == ([], whole[:cut])
        assert take_frames(whole + whole[:cut]) == ([Frame(2, payload)], whole[:cut])
    assert take_frames(whole + b"\x09\x00") == ([Frame(2, payload), Frame(9, b"", final=False)], b"")


@pytest.mark.parametrize("size", SIZES)
def test_masked_frames_are_unmasked_wherever_they_are_split(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    whole = mask(websocket.binary(payload[:size]), b"key!")
    for cut in {*range(min(19, len(whole))), len(whole) // 2, len(whole) - 1}:
        assert take_frames(whole[:cut], masked=True) == ([], whole[:cut])
        assert take_frames(whole + whole[:cut], masked=True) == ([Frame(2, payload[:size])], whole[:cut])


def test_a_server_must_not_mask_and_a_client_must() -> None:
    masked, bare = mask(b"\x82\x01a", b"key!"), b"\x82\x01a"
    with pytest.raises(ValueError, match="a server's frame is masked"):
        take_frames(masked)
    with pytest.raises(ValueError, match="a client's frame is not masked"):
        take_frames(bare, masked=True)
