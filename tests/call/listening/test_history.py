"""What is still known of a call that nobody watched: its levels, and when it was impaired."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.level.levels import SILENCE_DB, pcm_dbfs
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call
from mediaserver.call.listening.history import MOST_IMPAIRMENTS, MOST_LEVELS, CallHistory, Levels
from mediaserver.call.listening.listen_in import Side
from mediaserver.call.problems import find_problems
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import sine, voice
from tests.virtual import VirtualLoop, in_virtual_time


def tone(dbfs: float, seconds: float) -> bytes:
    """A tone of 700 Hz, of which each 10 ms has the same level."""
    return to_bytes((sine(700, seconds, 8000, 10 ** (dbfs / 20)) * 32767).astype(np.int16))


def history_of(caller: Caller) -> Any:
    return caller.session.operator.history


def problems_of(caller: Caller) -> list[str]:
    facts = {**caller.session.summary(), **history_of(caller)}
    return [problem.kind for problem in find_problems(facts, caller.session.failures)]


async def hear_keys(call: Call) -> None:
    """What a menu does: the caller's audio is searched for keys, and nobody else hears it."""
    _ = call.keypad
    await call.silence()


async def hear_all(call: Call) -> None:
    """What an application does."""
    with call.listen(lambda event: None):
        await hear_keys(call)


# -- levels ----------------------------------------------------------------------------------------


def test_the_levels_of_a_long_call_are_the_loudest_of_several_seconds() -> None:
    levels = Levels()
    for second in range(MOST_LEVELS + 1):
        levels.note(second, -float(second % 4) - 10, None)
    assert levels.step == 2
    caller, us = levels.describe()
    assert caller == [-10, -12] * (MOST_LEVELS // 4) + [-10]
    assert us == [None] * len(caller)
    levels.note(100 * MOST_LEVELS, SILENCE_DB, 3.0)
    assert levels.step == 128
    caller, us = levels.describe()
    assert caller == [-10, -10, -10, *[None] * (len(caller) - 4), -100]
    assert us[-1] == 0


@pytest.mark.parametrize("level", [-60, -40, -12, 0])
def test_a_level_is_that_of_its_power(level: int) -> None:
    assert pcm_dbfs(tone(level, 0.01)) == pytest.approx(level, abs=0.5 if level == -60 else 0.1)


def test_the_least_sound_is_no_silence() -> None:
    assert pcm_dbfs(bytes(160)) == pcm_dbfs(b"") == SILENCE_DB
    assert SILENCE_DB < pcm_dbfs(bytes(158) + b"\1\0") < -80


@in_virtual_time
async def test_a_caller_whose_keys_are_awaited_is_looked_at_once_a_second(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    said = tone(-20, 2.5) + bytes(32_000) + tone(-60, 2)
    await caller.call(hear_keys, 7500, (0, lambda: caller.say(said)))
    assert history_of(caller)["levels"]["caller"]["dbfs"] == [None, -20, -20, -100, -100, -60, -60, -100]
    assert history_of(caller)["levels"]["us"]["dbfs"] == [None, *[-100] * 7]


@in_virtual_time
async def test_a_caller_to_whom_nobody_listens_costs_nothing_and_has_no_level(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({"one": voice(64_000)}))

    async def play(call: Call) -> None:
        await call.play("one")

    await caller.call(play, 5000, (0, lambda: caller.say(tone(-20, 5))))
    assert history_of(caller)["levels"] == {
        "every_s": 1,
        "caller": {"dbfs": [None] * 5, **NOTHING},
        "us": {"dbfs": [None] * 5, **NOTHING},
    }
    assert caller.session.receiver.samples == 3 * 160  # until the codec was known


NOTHING = {"seconds": 0, "loudest_dbfs": -100, "loud_seconds": 0, "faint": False, "loud": False}


@in_virtual_time
async def test_a_recording_knows_the_levels_of_both_sides(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of({"one": np.frombuffer(tone(-30, 8), np.int16)}))

    async def record(call: Call) -> None:
        playing = asyncio.create_task(call.play("one"))
        await call.record(tmp_path / "a.wav", stereo=True)
        playing.cancel()

    await caller.call(record, 6500, (0, lambda: caller.say(tone(-20, 8))))
    levels = history_of(caller)["levels"]
    assert set(levels["caller"]["dbfs"]) - {None} == {-20}
    assert set(levels["us"]["dbfs"]) - {None} == {-30}
    assert levels["caller"]["dbfs"].count(None) <= 2


@in_virtual_time
async def test_what_an_application_says_has_a_level_after_gain_and_mute(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    buffer, operator = PlayoutBuffer(), caller.session.operator
    buffer.push_audio(tone(-30, 6))

    async def talk(call: Call) -> None:
        await call.play(buffer)

    acts = [(2500, lambda: operator.set_gain(6.0)), (4500, lambda: operator.mute(Side.US, muted=True))]
    await caller.call(talk, 8500, *acts)
    assert history_of(caller)["levels"]["us"]["dbfs"] == [None, -30, -30, -24, -24, -100, -100, -100, -100]


# -- what the levels show --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hear", "level", "told"),
    [
        (hear_all, -50, ["faint"]),
        (hear_all, -40, []),
        (hear_all, -3, ["loud"]),
        (hear_all, -10, []),
        (hear_keys, -50, []),  # a caller may be silent in a menu
    ],
)
@in_virtual_time
async def test_a_caller_who_is_too_quiet_or_too_loud_is_told_of(
    loop: VirtualLoop, hear: Any, level: int, told: list[str]
) -> None:
    caller = Caller(loop, library_of())
    caller.say(tone(level, 30))
    await caller.call(hear, 22_000)
    assert problems_of(caller) == told
    assert any(caller.session.operator.faults) is bool(told)  # so that the page Live looks at the stream


@in_virtual_time
async def test_levels_are_not_judged_before_enough_was_looked_at(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    caller.say(tone(-50, 30))
    await caller.call(hear_all, 19_500)
    assert problems_of(caller) == []


@in_virtual_time
async def test_a_caller_whose_sound_becomes_digital_silence_is_told_of_until_it_is_back(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    caller.say(tone(-20, 10))
    told: list[list[str]] = []

    async def run(call: Call) -> None:
        with call.listen(lambda event: None):
            _ = call.keypad
            for seconds in (39.5, 2, 5):
                await asyncio.sleep(seconds)
                told.append(problems_of(caller))

    await caller.call(run, 48_000, (42_000, lambda: caller.say(tone(-20, 10))))
    assert told == [[], ["muted"], []]


# -- impairments -----------------------------------------------------------------------------------


def test_counters_that_grow_look_after_look_are_one_impairment() -> None:
    history = CallHistory()
    for second, (late, lost) in enumerate([(0, 0), (2, 0), (5, 1), (5, 1), (6, 1)], start=1):
        history.look(second, None, None, (late, 0, 0, lost, 0), second, wanted=False)
    assert history.describe()["impairments"] == [
        {"kind": "late", "from_s": 1, "to_s": 3, "count": 5},
        {"kind": "lost", "from_s": 2, "to_s": 3, "count": 1},
        {"kind": "late", "from_s": 4, "to_s": 5, "count": 1},
    ]


def test_the_latest_impairments_are_kept() -> None:
    history = CallHistory()
    for second in range(1, 500):
        history.look(second, None, None, (second // 2, 0, 0, 0, 0), second, wanted=False)
    kept = history.describe()["impairments"]
    assert len(kept) == MOST_IMPAIRMENTS
    assert kept[-1] == {"kind": "late", "from_s": 497, "to_s": 498, "count": 1}


@in_virtual_time
async def test_when_a_peer_sent_nothing_is_told_in_words(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    texts: list[str] = []

    def note() -> None:
        facts = {**caller.session.summary(), **history_of(caller)}
        texts.extend(problem.text for problem in find_problems(facts, caller.session.failures))

    def quiet(is_quiet: bool) -> None:
        caller.quiet = is_quiet

    acts = [
        (3000, lambda: quiet(True)),
        (7000, lambda: quiet(False)),  # a pause
        (10_000, lambda: quiet(True)),
        (18_000, lambda: quiet(False)),
        (20_000, note),
        (30_000, lambda: quiet(True)),
        (40_000, note),
    ]
    await caller.call(hear_all, 41_000, *acts)
    why = "the call may be over, or nobody spoke in its bridge."
    assert [text for text in texts if "sent nothing" in text] == [
        f"The far end sent nothing from 0:10 to 0:18: {why}",
        f"The far end sent nothing from 0:10 to 0:18, and since 0:30: {why}",
    ]
