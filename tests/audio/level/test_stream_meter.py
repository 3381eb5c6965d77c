"""Meters of streams: many together measure what each measures alone, and are due in time."""

import numpy as np

from mediaserver.audio.level.stream_meter import NEVER, Reading, StreamMeter, measure_frames
from mediaserver.audio.pcm import Samples
from mediaserver.wire.events import FrameLevels
from tests.sound import speechlike

FRAMES = np.stack(
    [
        np.zeros(160, np.int16),
        np.full(160, -32768, np.int16),
        np.full(160, 32767, np.int16),
        np.array([5, 32_124, -32_124, 32_123] * 40, np.int16),
        speechlike(160),
    ]
)


def measure(meters: list[StreamMeter], frames: Samples) -> list[int]:
    return measure_frames(meters, frames, FrameLevels(frames).energies)


def test_meters_together_measure_what_each_measures_alone() -> None:
    alone, together = ([StreamMeter() for _ in FRAMES] for _ in range(2))
    for turn in range(5):
        frames = np.roll(FRAMES, turn, axis=0)
        for meter, frame in zip(alone, frames, strict=True):
            meter.feed(frame)
        measure(together, frames)
        if turn == 2:
            assert [meter.take() for meter in together] == [meter.take() for meter in alone]
    assert [meter.samples for meter in together] == [meter.samples for meter in alone] == [800] * 5
    assert [meter.take() for meter in together] == [meter.take() for meter in alone]


def test_a_reading_has_what_came_since_the_last_one() -> None:
    meter = StreamMeter()
    measure([meter], FRAMES[3:4])
    assert meter.take() == Reading(40 * (25 + 2 * 32_124**2 + 32_123**2), 32_124, 80)
    assert meter.take() == Reading(0, 0, 0)
    measure([meter], FRAMES[1:2])
    meter.feed(FRAMES[0][:7])
    assert meter.take() == Reading(160 * 32_768**2, 32_768, 160)
    assert meter.samples == 327


def test_a_meter_is_due_from_a_number_of_samples_on() -> None:
    meters = [StreamMeter() for _ in range(3)]
    meters[1].set_due(480)
    meters[2].set_due(NEVER)
    due = [measure(meters, FRAMES[:3]) for _ in range(4)]
    assert due == [[0], [0], [0, 1], [0, 1]]


def test_a_row_that_is_given_again_has_nothing_of_the_meter_before() -> None:
    for _ in range(40):
        meter = StreamMeter()
        assert (meter.samples, meter.take(), measure([meter], FRAMES[4:])) == (0, Reading(0, 0, 0), [0])
        meter.set_due(NEVER)
