"""Who may be heard, and what is made of what a caller does meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mediaserver.call import Call, Utterance
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.turn_detector import TurnDetector
from mediaserver.handlers.assistant.turn_taking import TurnTaking
from tests.call.caller import Caller
from tests.handlers.assistant.scripted import WORD, voiced_after_ms
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


class Stops:
    """Counts how often a speaker was stopped."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


@in_virtual_time
async def test_the_caller_stops_whoever_speaks_and_nobody_else(loop: VirtualLoop) -> None:
    floor, stop, utterance = TurnTaking(barge_in=True), Stops(), Utterance(1, 0.0, loop.time)
    floor.on_speech_start(utterance)
    assert floor.on_digit()
    with floor.speaking(stop):
        assert stop.count == 0
        floor.on_speech_start(utterance)
        assert floor.on_digit()
        assert stop.count == 2
    floor.on_speech_start(utterance)
    assert floor.on_digit()
    assert stop.count == 2
    assert not floor.discards(utterance)


@in_virtual_time
async def test_who_may_not_be_stopped_is_not_and_what_was_said_meanwhile_is_ignored_once(
    loop: VirtualLoop,
) -> None:
    floor, stop = TurnTaking(barge_in=False), Stops()
    one, other, third = (Utterance(number, 0.0, loop.time) for number in range(3))
    floor.caller_waiting = lambda: True
    with floor.speaking(stop):
        floor.on_speech_start(one)
        floor.on_speech_start(other)
        assert not floor.on_digit()
    floor.on_speech_start(third)
    assert floor.on_digit()
    assert [floor.discards(each) for each in (third, other, one, one)] == [False, True, True, False]
    assert stop.count == 0


@pytest.mark.parametrize("wanted", [False, True])
def test_nobody_begins_whom_the_caller_wants_to_interrupt(wanted: bool) -> None:
    floor, stop = TurnTaking(barge_in=True), Stops()
    floor.caller_waiting = lambda: wanted
    with floor.speaking(stop):
        assert stop.count == wanted


def test_a_speaker_who_fails_does_not_hold_the_floor() -> None:
    floor, stop = TurnTaking(barge_in=True), Stops()
    with pytest.raises(LookupError), floor.speaking(stop):
        raise LookupError
    assert floor.on_digit()
    assert stop.count == 0


# -- ears ------------------------------------------------------------------------------------------


async def heard(
    loop: VirtualLoop, waits: list[float], *acts: tuple[float, str], barge_in: bool = True
) -> list[tuple[Any, float]]:
    """What is heard next, each time waited for so long, with when it was known; no keys are a word."""
    caller, found = Caller(loop, library_of()), []
    floor = TurnTaking(barge_in)

    async def run(call: Call) -> None:
        tasks, ears = asyncio.all_tasks(), TurnDetector(call, floor, 0.6)
        with ears.listening():
            for seconds in waits:
                found.append((await ears.next_turn(seconds), round(loop.time(), 2)))
                assert not floor.caller_waiting()
        caller.session.push_digits("1")
        assert call.keypad.drain_digits() == "1"  # nobody takes it any more
        assert asyncio.all_tasks() == tasks

    def act(keys: str) -> Callable[[], None]:
        return (lambda: caller.session.push_digits(keys)) if keys else (lambda: caller.say(WORD))

    await caller.call(run, 16_000, *[(at, act(keys)) for at, keys in acts])
    return found


@in_virtual_time
async def test_nothing_is_heard_in_so_many_seconds(loop: VirtualLoop) -> None:
    assert await heard(loop, [1.5, 0.0, 0.5]) == [(None, 1.5), (None, 1.5), (None, 2.0)]


@in_virtual_time
async def test_keys_are_one_turn_to_the_last_or_a_pause(loop: VirtualLoop) -> None:
    presses = [(1000, "1"), (2900, "2"), (4000, "#"), (6000, "3"), (7900, "4"), (12_000, "#")]
    first, second, third, none = await heard(loop, [5.0, 5.0, 5.0, 1.0], *presses)
    assert first == (Turn("[pressed 1 2 #]", 1.01, 4.01), 4.01)
    assert second == (Turn("[pressed 3 4]", 6.01, 7.91), 9.91)
    assert third == (Turn("[pressed #]", 12.01, 12.01), 12.01)
    assert none == (None, 13.01)


@in_virtual_time
async def test_keys_without_an_end_are_cut(loop: VirtualLoop) -> None:
    first, second = await heard(loop, [5.0, 5.0], (1000, "5" * 70), (1500, "6#"))
    assert first == (Turn(f"[pressed {' '.join('5' * 64)}]", 1.01, 1.01), 1.01)
    assert second[0] == Turn("[pressed 6 #]", 1.51, 1.51)


@in_virtual_time
async def test_an_utterance_is_there_from_its_second_frame_on(loop: VirtualLoop) -> None:
    ((utterance, at),) = await heard(loop, [5.0], (1000, ""))
    assert isinstance(utterance, Utterance)
    assert at == pytest.approx(1.01 + (voiced_after_ms() + 20) / 1000, abs=0.021)


@in_virtual_time
async def test_what_is_said_to_a_deaf_speaker_is_passed_over(loop: VirtualLoop) -> None:
    """Words and keys while an answer is said that may not be interrupted; what follows is heard."""
    caller, found, floor = Caller(loop, library_of()), [], TurnTaking(barge_in=False)

    async def run(call: Call) -> None:
        ears = TurnDetector(call, floor, 0.6)
        with ears.listening():
            with floor.speaking(call.clear):
                await asyncio.sleep(4)
            while len(found) < 2:
                found.append(await ears.next_turn(10.0))

    acts = [(1000, lambda: caller.say(WORD)), (3000, lambda: caller.session.push_digits("12"))]
    acts += [(5000, lambda: caller.say(WORD)), (7000, lambda: caller.session.push_digits("3#"))]
    await caller.call(run, 12_000, *acts)
    utterance, turn = found
    assert isinstance(utterance, Utterance)
    assert isinstance(turn, Turn)
    assert utterance.start == pytest.approx(5.0, abs=0.1)
    assert turn.caller == "[pressed 3 #]"
