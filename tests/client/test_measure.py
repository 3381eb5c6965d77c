"""Known arrival times, and the report that they must give."""

from dataclasses import replace

import pytest

from mediaserver.client import measure
from mediaserver.client.measure import Report, Spread


def on_time(frames: int, start: float = 100.0) -> list[float]:
    return [start + n * 0.020 for n in range(frames)]


def test_a_perfect_stream() -> None:
    arrivals = on_time(500)
    assert measure.interarrivals(arrivals) == Spread(20.0, 20.0, 20.0)
    assert measure.lateness(arrivals) == Spread(0.0, 0.0, 0.0)
    assert measure.drift_ppm(arrivals) == pytest.approx(0, abs=0.1)


def test_one_late_frame() -> None:
    arrivals = on_time(1000)
    arrivals[700] += 0.007
    spread = measure.lateness(arrivals)
    assert spread is not None
    assert (spread.p50, spread.p99, spread.max) == (0.0, 0.0, 7.0)
    between = measure.interarrivals(arrivals)
    assert between is not None
    assert between.max == pytest.approx(27.0)


def test_lateness_is_measured_from_the_earliest_frame_not_the_first() -> None:
    arrivals = on_time(100)
    arrivals[0] += 0.005
    spread = measure.lateness(arrivals)
    assert spread is not None
    assert (spread.p50, spread.max) == (0.0, 5.0)


def with_lead(lead: int, frames: int, start: float = 100.0) -> list[float]:
    """The first frame and `lead` more at once, 0.1 ms apart, then one every 20 ms."""
    return [start + (n * 0.0001 if n <= lead else (n - lead) * 0.020) for n in range(frames)]


@pytest.mark.parametrize("lead", [0, 1, 3, 10])
def test_frames_sent_ahead_of_their_time_are_not_late(lead: int) -> None:
    arrivals = with_lead(lead, 500)
    assert measure.lead(arrivals) == lead
    late = measure.lateness(arrivals)
    assert late is not None
    assert (late.p50, late.max) == (0.0, round(lead * 0.1, 3))  # within the burst, as they came
    between = measure.interarrivals(arrivals)
    assert between is not None
    assert between.p50 == 20.0
    assert between.max == 20.0
    assert measure.drift_ppm(arrivals) == pytest.approx(0, abs=20)


def test_a_late_frame_behind_a_lead() -> None:
    arrivals = with_lead(1, 1000)
    arrivals[0] = arrivals[1] = 100.0
    arrivals[700] += 0.007
    assert measure.lateness(arrivals) == Spread(0.0, 0.0, 7.0)
    between = measure.interarrivals(arrivals)
    assert between is not None
    assert (between.p50, between.max) == (20.0, 27.0)


@pytest.mark.parametrize(
    ("arrivals", "lead"),
    [
        ([], 0),
        ([0.0], 0),
        ([0.0, 0.010], 1),
        ([0.0, 0.0101], 0),
        ([100.0 + n * 0.0001 for n in range(50)], 10),  # a flood is no lead: the rest is ahead of its time
        ([100.0, 100.020, 100.020, 100.020], 0),  # caught up later on
    ],
)
def test_the_lead_is_what_comes_within_ten_milliseconds_of_the_first(arrivals: list[float], lead: int) -> None:
    assert measure.lead(arrivals) == lead


def test_a_lead_alone_has_no_gaps_to_measure() -> None:
    assert measure.interarrivals([100.0, 100.0]) is None
    assert measure.drift_ppm([100.0, 100.0, 100.0]) is None
    assert measure.lateness([100.0, 100.0, 100.005]) == Spread(0.0, 4.9, 5.0)


@pytest.mark.parametrize("ppm", [-300.0, 40.0, 2500.0])
def test_drift(ppm: float) -> None:
    arrivals = [100 + n * 0.020 * (1 + ppm / 1e6) for n in range(1000)]
    assert measure.drift_ppm(arrivals) == pytest.approx(ppm, abs=0.1)


def test_too_little_to_measure() -> None:
    assert measure.interarrivals([1.0]) is None
    assert measure.lateness([]) is None
    assert measure.drift_ppm([1.0]) is None


RIGHT = Report(50, 1.0, 5.0, None, None, 3.0, 0, "audiosocket", "pcm", 1000)


def test_a_right_stream_has_no_problems() -> None:
    assert RIGHT.problems == []
    assert replace(RIGHT, frames=99, drift_ppm=20_000.0).problems == []  # too few to tell drift from jitter


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"frames": 0}, "no audio came"),
        ({"bad_frames": 2, "bad_reason": "7 bytes"}, "2 messages were not one 20 ms frame: 7 bytes"),
        (
            {"frames": 100, "drift_ppm": -20_000.0},
            "frames do not come every 20 ms: the drift is -2.0 %. The server or this machine may be too busy",
        ),
        ({"close_code": 1011}, "the stream was closed with 1011"),
    ],
)
def test_the_problems_of_a_stream_are_listed(change, problem: str) -> None:
    assert replace(RIGHT, **change).problems == [problem]
