"""Turn taking with barge-in, and the turn detector."""

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
    """Counts how often the assistant was stopped."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


@in_virtual_time
async def test_the_caller_stops_the_assistant_only_while_it_speaks(loop: VirtualLoop) -> None:
    turn_taking, stop, utterance = TurnTaking(barge_in=True), Stops(), Utterance(1, 0.0, loop.time)
    turn_taking.on_speech_start(utterance)
    assert turn_taking.on_digit()
    with turn_taking.speaking(stop):
        assert stop.count == 0
        turn_taking.on_speech_start(utterance)
        assert turn_taking.on_digit()
        assert stop.count == 2
    turn_taking.on_speech_start(utterance)
    assert turn_taking.on_digit()
    assert stop.count == 2
    assert not turn_taking.discards(utterance)


@in_virtual_time
async def test_without_barge_in_utterances_during_an_answer_are_ignored_once(
    loop: VirtualLoop,
) -> None:
    turn_taking, stop = TurnTaking(barge_in=False), Stops()
    one, other, third = (Utterance(number, 0.0, loop.time) for number in range(3))
    turn_taking.caller_waiting = lambda: True
    with turn_taking.speaking(stop):
        turn_taking.on_speech_start(one)
        turn_taking.on_speech_start(other)
        assert not turn_taking.on_digit()
    turn_taking.on_speech_start(third)
    assert turn_taking.on_digit()
    assert [turn_taking.discards(each) for each in (third, other, one, one)] == [False, True, True, False]
    assert stop.count == 0


@pytest.mark.parametrize("wanted", [False, True])
def test_the_assistant_does_not_begin_while_the_caller_is_waiting(wanted: bool) -> None:
    turn_taking, stop = TurnTaking(barge_in=True), Stops()
    turn_taking.caller_waiting = lambda: wanted
    with turn_taking.speaking(stop):
        assert stop.count == wanted


def test_an_exception_ends_speaking() -> None:
    turn_taking, stop = TurnTaking(barge_in=True), Stops()
    with pytest.raises(LookupError), turn_taking.speaking(stop):
        raise LookupError
    assert turn_taking.on_digit()
    assert stop.count == 0


# -- turn detector ------------------------------------------------------------------------------------------


async def turns(
    loop: VirtualLoop, waits: list[float], *acts: tuple[float, str], barge_in: bool = True
) -> list[tuple[Any, float]]:
    """The next turns, each waited for so long, with their times. Acts without keys say a word."""
    caller, found = Caller(loop, library_of()), []
    turn_taking = TurnTaking(barge_in)

    async def run(call: Call) -> None:
        tasks, detector = asyncio.all_tasks(), TurnDetector(call, turn_taking, 0.6)
        with detector.listening():
            for seconds in waits:
                found.append((await detector.next_turn(seconds), round(loop.time(), 2)))
                assert not turn_taking.caller_waiting()
        caller.session.push_digits("1")
        assert call.keypad.drain_digits() == "1"  # nobody takes it any more
        assert asyncio.all_tasks() == tasks

    def act(keys: str) -> Callable[[], None]:
        return (lambda: caller.session.push_digits(keys)) if keys else (lambda: caller.say(WORD))

    await caller.call(run, 16_000, *[(at, act(keys)) for at, keys in acts])
    return found


@in_virtual_time
async def test_the_turn_detector_times_out(loop: VirtualLoop) -> None:
    assert await turns(loop, [1.5, 0.0, 0.5]) == [(None, 1.5), (None, 1.5), (None, 2.0)]


@in_virtual_time
async def test_keys_are_one_turn_up_to_the_terminator_or_a_pause(loop: VirtualLoop) -> None:
    presses = [(1000, "1"), (2900, "2"), (4000, "#"), (6000, "3"), (7900, "4"), (12_000, "#")]
    first, second, third, none = await turns(loop, [5.0, 5.0, 5.0, 1.0], *presses)
    assert first == (Turn("[pressed 1 2 #]", 1.01, 4.01), 4.01)
    assert second == (Turn("[pressed 3 4]", 6.01, 7.91), 9.91)
    assert third == (Turn("[pressed #]", 12.01, 12.01), 12.01)
    assert none == (None, 13.01)


@in_virtual_time
async def test_a_turn_has_64_keys_at_most(loop: VirtualLoop) -> None:
    first, second = await turns(loop, [5.0, 5.0], (1000, "5" * 70), (1500, "6#"))
    assert first == (Turn(f"[pressed {' '.join('5' * 64)}]", 1.01, 1.01), 1.01)
    assert second[0] == Turn("[pressed 6 #]", 1.51, 1.51)


@in_virtual_time
async def test_an_utterance_is_returned_as_soon_as_it_begins(loop: VirtualLoop) -> None:
    ((utterance, at),) = await turns(loop, [5.0], (1000, ""))
    assert isinstance(utterance, Utterance)
    assert at == pytest.approx(1.01 + voiced_after_ms() / 1000, abs=0.021)


@in_virtual_time
async def test_without_barge_in_the_turn_detector_skips_what_is_said_during_an_answer(loop: VirtualLoop) -> None:
    """Words and keys while an answer is said that may not be interrupted; what follows is heard."""
    caller, found, turn_taking = Caller(loop, library_of()), [], TurnTaking(barge_in=False)

    async def run(call: Call) -> None:
        detector = TurnDetector(call, turn_taking, 0.6)
        with detector.listening():
            with turn_taking.speaking(call.clear):
                await asyncio.sleep(4)
            while len(found) < 2:
                found.append(await detector.next_turn(10.0))

    acts = [(1000, lambda: caller.say(WORD)), (3000, lambda: caller.session.push_digits("12"))]
    acts += [(5000, lambda: caller.say(WORD)), (7000, lambda: caller.session.push_digits("3#"))]
    await caller.call(run, 12_000, *acts)
    utterance, turn = found
    assert isinstance(utterance, Utterance)
    assert isinstance(turn, Turn)
    assert utterance.start == pytest.approx(5.0, abs=0.1)
    assert turn.caller == "[pressed 3 #]"
