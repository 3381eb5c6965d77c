"""Sound that is played as it comes: how long it waits, what is left out, and what is missing."""

from itertools import islice

import pytest

from mediaserver.playout.sources.live import Live
from mediaserver.wire.encapsulation import L16


def frame(number: int) -> bytes:
    """A frame that no other is like."""
    return bytes([number]) * 320


def played(live: Live, count: int) -> list[int]:
    """The numbers of the next frames; silence is 0."""
    return [item[0] for item in islice(live.items(L16), count)]


def put(live: Live, *numbers: int) -> None:
    for number in numbers:
        live.put(frame(number))


def test_sound_is_played_at_once_where_nothing_delays_it() -> None:
    live = Live()
    assert played(live, 2) == [0, 0]
    put(live, 1, 2)
    assert played(live, 3) == [1, 2, 0]
    assert (live.underruns, live.dropped) == (1, 0)


def test_silence_before_the_first_sound_is_nothing_that_is_missing() -> None:
    live = Live()
    assert played(live, 100) == [0] * 100
    assert live.underruns == 0


def test_sound_waits_until_there_is_so_much_of_it_and_again_after_it_ran_dry() -> None:
    live = Live(60)
    for numbers, heard in (
        ((1,), [0]),
        ((2,), [0]),
        ((3,), [1]),
        ((), [2, 3, 0]),
        ((4, 5), [0]),
        ((6,), [4, 5, 6, 0]),
    ):
        put(live, *numbers)
        assert played(live, len(heard)) == heard
    assert live.underruns == 2  # once each time that it ran dry
    assert live.dropped == 0


def test_half_a_frame_waits_for_its_other_half() -> None:
    live = Live()
    live.put(frame(1)[:200])
    assert played(live, 1) == [0]
    live.put(frame(1)[200:] + frame(2)[:1])
    assert list(islice(live.items(L16), 2)) == [frame(1), bytes(320)]
    assert live.underruns == 1


@pytest.mark.parametrize(("delay", "kept"), [(0, 1), (20, 1), (60, 3)])
def test_what_comes_too_fast_makes_the_oldest_give_way_down_to_the_delay(delay: int, kept: int) -> None:
    live = Live(delay)
    most = kept + 10  # 200 ms more than it should be
    put(live, *range(1, most + 1))
    assert live.dropped == 0
    live.put(bytes(2))
    assert live.dropped == 160 * (most - kept) + 1
    assert played(live, kept) == list(range(most - kept + 1, most + 1))[:kept]
    dropped = live.dropped
    put(live, *[1] * (most + 1))
    assert live.dropped == dropped + 160 * (most + 1 - kept)
    assert isinstance(live.dropped, int)


def test_a_delay_is_counted_at_8_khz() -> None:
    live = Live(1000)
    put(live, *[1] * 49)
    assert played(live, 1) == [0]
    put(live, 1)
    assert played(live, 50) == [1] * 50
