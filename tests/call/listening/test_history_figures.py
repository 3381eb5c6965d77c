"""What the levels and counters of a call's history say, at the bounds of each figure."""

from typing import Any

import pytest

from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.call.listening.history import MOST_LEVELS, MUTED_AFTER, CallHistory, Levels, Loudness

NONE = (0, 0, 0, 0, 0)


def loudness_of(*levels: float) -> Loudness:
    loudness = Loudness()
    for level in levels:
        loudness.note(level)
    return loudness


def looked(*levels: float | None, start: float = 1.0, received: int = 0, **options: Any) -> CallHistory:
    """A history of looks at the caller's level, one a second."""
    history = CallHistory()
    for n, level in enumerate(levels):
        history.look(start + n, level, None, NONE, received, wanted=options.get("wanted", True))
    return history


# -- levels ----------------------------------------------------------------------------------------


def test_a_level_is_rounded_and_the_louder_of_one_second_is_kept() -> None:
    levels = Levels()
    levels.note(0.2, -20.6, None)
    levels.note(0.9, -30.0, -12.4)  # both within the first second
    levels.note(1.0, -30.0, 3.0)
    levels.note(1.5, -10.0, -9.0)
    levels.note(4.0, SILENCE_DB, -40.0)  # nothing was looked at meanwhile
    assert levels.describe() == ([-21, -10, None, None, -100], [-12, 0, None, None, -40])


def test_seconds_are_joined_when_there_would_be_one_more_level_than_is_kept() -> None:
    levels = Levels()
    for second in range(MOST_LEVELS):
        levels.note(second, -20.0 - second % 2, None)
    assert (levels.step, len(levels.describe()[0])) == (1, MOST_LEVELS)
    levels.note(MOST_LEVELS, -30.0, -5.0)
    assert levels.step == 2
    caller, us = levels.describe()
    assert caller == [-20] * (MOST_LEVELS // 2) + [-30]
    assert us == [None] * (MOST_LEVELS // 2) + [-5]
    levels.note(MOST_LEVELS + 1, -25.0, -6.0)  # of the same two seconds
    assert [side[-1] for side in levels.describe()] == [-25, -5]


# -- how loud a side was ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "faint"),
    [
        ([-60.0] * 19 + [-45.1], True),
        ([-60.0] * 19 + [-45.0], False),
        ([-45.1] * 19, False),  # too few to judge
        ([SILENCE_DB] * 19 + [-60.0], True),
        ([SILENCE_DB] * 30, False),  # silence is no faint voice
    ],
)
def test_a_voice_that_is_never_loud_enough_is_faint(levels: list[float], faint: bool) -> None:
    loudness = loudness_of(*levels)
    assert (loudness.is_faint, loudness.describe()["faint"]) == (faint, faint)


@pytest.mark.parametrize(
    ("levels", "loud", "seconds"),
    [
        ([-5.9] * 6 + [-20.0] * 14, True, 6),
        ([-5.9] * 5 + [-20.0] * 15, False, 5),  # a quarter
        ([-6.0] * 20, False, 0),
        ([-5.9] * 19 + [SILENCE_DB] * 9, False, 19),  # too few with sound
        ([-5.9] * 6 + [-20.0] * 14 + [SILENCE_DB] * 99, True, 6),  # silence makes a voice no softer
    ],
)
def test_a_voice_that_is_often_too_loud_is_loud(levels: list[float], loud: bool, seconds: int) -> None:
    loudness = loudness_of(*levels)
    assert loudness.describe() == {
        "seconds": len(levels),
        "loudest_dbfs": round(max(levels)),
        "loud_seconds": seconds,
        "faint": False,
        "loud": loud,
    }


# -- a caller who is muted -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("silent", "muted", "since"), [(MUTED_AFTER - 1, False, None), (MUTED_AFTER, True, 2.0), (99.0, True, 2.0)]
)
def test_silence_after_sound_is_a_muted_line_from_the_last_sound_on(
    silent: float, muted: bool, since: float | None
) -> None:
    history = looked(-20.0, -20.0, *[SILENCE_DB] * int(silent))
    assert (history.muted, history.alarms) == (muted, int(muted))
    assert history.describe()["levels"]["caller"].get("muted_since_s") == since


def test_a_caller_who_has_said_nothing_yet_or_speaks_again_is_not_muted() -> None:
    assert not looked(*[SILENCE_DB] * 99).muted
    assert not looked(-20.0, *[SILENCE_DB] * 99, -70.0).muted
    again = looked(-20.0, *[SILENCE_DB] * 20, -70.0, *[SILENCE_DB] * 29)
    assert not again.muted
    assert looked(-20.0, *[SILENCE_DB] * 40, wanted=False).muted  # heard only by a detector of keys


def test_every_bad_level_of_either_side_is_an_alarm() -> None:
    history = CallHistory()
    for second in range(20):
        history.look(second, -50.0, -1.0, NONE, second, wanted=True)
    assert history.alarms == 2
    described = history.describe()["levels"]
    assert (described["caller"]["faint"], described["us"]["loud"]) == (True, True)
    for second in range(20, 40):
        history.look(second, None, None, NONE, second, wanted=True)
    assert history.describe()["levels"]["us"]["seconds"] == 20  # an unknown level counts for nothing


# -- impairments -----------------------------------------------------------------------------------


def impairments(history: CallHistory) -> list[tuple[str, float, float, int]]:
    return [tuple(each.values()) for each in history.describe()["impairments"]]


def test_each_counter_is_an_impairment_of_its_name_from_the_look_before_on() -> None:
    history = CallHistory()
    history.look(1.04, None, None, NONE, 1, wanted=False)
    history.look(2.06, None, None, (1, 2, 3, 4, 5), 2, wanted=False)
    kinds = ("late", "stalled", "underrun", "lost", "malformed")
    assert impairments(history) == [(kind, 1.0, 2.1, n) for n, kind in enumerate(kinds, 1)]
    history.look(3, None, None, (0, 2, 3, 4, 6), 3, wanted=False)  # a counter that began anew has not grown
    assert impairments(history)[4:] == [("malformed", 1.0, 3, 6)]
    history.look(4, None, None, (1, 2, 3, 4, 6), 4, wanted=False)
    assert impairments(history)[5:] == [("late", 3, 4, 1)]


def test_what_was_counted_by_the_first_look_is_an_impairment_from_the_beginning_on() -> None:
    history = CallHistory()
    history.look(1, None, None, (1, 1, 1, 1, 1), 1, wanted=False)
    assert [each[1:] for each in impairments(history)] == [(0, 1, 1)] * 5


def test_a_peer_that_stops_to_send_for_five_seconds_leaves_one_gap() -> None:
    history = CallHistory()
    counts = [1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4]
    lengths = []
    for second, received in enumerate(counts, start=1):
        history.look(second, None, None, NONE, received, wanted=False)
        lengths.append(len(impairments(history)))
    assert lengths == [0] * 6 + [1] * 8  # of the second pause, which is shorter, nothing is told
    assert impairments(history) == [("gap", 2, 8, 6)]
    for second in range(15, 22):
        history.look(second, None, None, NONE, 4, wanted=False)
    assert impairments(history) == [("gap", 2, 8, 6), ("gap", 14, 21, 7)]


def test_a_peer_that_has_never_sent_anything_has_no_gap() -> None:
    assert impairments(looked(*[None] * 30)) == []


def test_a_frame_is_measured_once() -> None:
    history = CallHistory()
    assert history.measure(0, b"\x10\x10" * 80) is None  # no frame has come
    assert history.measure(1, b"\x10\x10" * 80) == pytest.approx(-15, abs=3)
    assert history.measure(1, b"\x10\x10" * 80) is None
    assert history.measure(3, bytes(160)) == SILENCE_DB
