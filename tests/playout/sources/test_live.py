"""The live source: how long audio waits, what is dropped, and what counts as an underrun."""

from itertools import islice

import pytest

from mediaserver.playout.sources.live import LiveSource
from mediaserver.wire.encapsulation import L16


def frame(number: int) -> bytes:
    """A frame whose bytes are all its number."""
    return bytes([number]) * 320


def played(live: LiveSource, count: int) -> list[int]:
    """The numbers of the next `count` frames; silence is 0."""
    return [frame[0] for frame in islice(live.iter_frames(L16), count)]


def push(live: LiveSource, *numbers: int) -> None:
    for number in numbers:
        live.push_audio(frame(number))


def test_audio_is_played_at_once_without_a_delay() -> None:
    live = LiveSource()
    assert played(live, 2) == [0, 0]
    push(live, 1, 2)
    assert played(live, 3) == [1, 2, 0]
    assert (live.underruns, live.dropped) == (1, 0)


def test_silence_before_the_first_audio_is_no_underrun() -> None:
    live = LiveSource()
    assert played(live, 100) == [0] * 100
    assert live.underruns == 0


def test_audio_waits_until_the_delay_is_filled_and_again_after_an_underrun() -> None:
    live = LiveSource(60)
    for numbers, heard in (
        ((1,), [0]),
        ((2,), [0]),
        ((3,), [1]),
        ((), [2, 3, 0]),
        ((4, 5), [0]),
        ((6,), [4, 5, 6, 0]),
    ):
        push(live, *numbers)
        assert played(live, len(heard)) == heard
    assert live.underruns == 2  # once each time that it ran dry
    assert live.dropped == 0


def test_half_a_frame_waits_for_the_other_half() -> None:
    live = LiveSource()
    live.push_audio(frame(1)[:200])
    assert played(live, 1) == [0]
    live.push_audio(frame(1)[200:] + frame(2)[:1])
    assert list(islice(live.iter_frames(L16), 2)) == [frame(1), bytes(320)]
    assert live.underruns == 1


@pytest.mark.parametrize(("delay", "kept"), [(0, 1), (20, 1), (60, 3)])
def test_audio_that_comes_too_fast_drops_the_oldest_down_to_the_delay(delay: int, kept: int) -> None:
    live = LiveSource(delay)
    most = kept + 10  # 200 ms more than it should be
    push(live, *range(1, most + 1))
    assert live.dropped == 0
    live.push_audio(bytes(2))
    assert live.dropped == 160 * (most - kept) + 1
    assert played(live, kept) == list(range(most - kept + 1, most + 1))[:kept]
    dropped = live.dropped
    push(live, *[1] * (most + 1))
    assert live.dropped == dropped + 160 * (most + 1 - kept)
    assert isinstance(live.dropped, int)


def test_a_delay_is_counted_at_8_khz() -> None:
    live = LiveSource(1000)
    push(live, *[1] * 49)
    assert played(live, 1) == [0]
    push(live, 1)
    assert played(live, 50) == [1] * 50


def test_as_much_waits_as_the_slack_allows() -> None:
    live = LiveSource(0, slack_ms=400)
    push(live, *range(1, 22))
    assert live.dropped == 0
    push(live, 22)
    assert (live.dropped, played(live, 2)) == (21 * 160, [22, 0])


def test_it_plays_something_while_there_is_audio() -> None:
    live, told = LiveSource(delay_ms=40), []
    push(live, 1)
    frames = live.iter_frames(L16)
    for n in (2, 3, 0, 0, 0, 0):
        next(frames)
        told.append(live.playing)
        if n:
            push(live, n)
    assert told == ["", "live", "live", "live", "", ""]


def test_it_ends_when_what_waits_is_played() -> None:
    live = LiveSource(delay_ms=100)
    push(live, 1, 2)
    live.push_audio(b"\3" * 100)
    frames = live.iter_frames(L16)
    assert next(frames) == bytes(320)
    live.end()
    assert list(frames) == [frame(1), frame(2), b"\3" * 100 + bytes(220)]
    assert list(live.iter_frames(L16)) == []
