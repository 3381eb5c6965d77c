"""What is heard, cut into utterances."""

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.call import Call, Utterance, Utterances
from mediaserver.errors import EngineError
from mediaserver.speech.stt.interface import Recognition
from mediaserver.wire.events import Audio, Digit
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time


def voice(ms: float, seed: int = 1) -> bytes:
    """Loud enough from its first sample to its last."""
    loud = speechlike(round(ms * 8), seed).astype(float)
    return to_bytes(np.where(np.abs(loud) < 500, 500, loud).astype(np.int16))


class Listener:
    """Keeps what it hears of a session."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.utterances: list[tuple[Utterance, bytes]] = []
        self.begun: list[tuple[float, Utterance]] = []  # told at once, with their times
        self.taken: list[float] = []  # when an utterance was there to be iterated over
        self.pieces: list[tuple[float, int]] = []
        self.dropped = 0

    async def run(self, call: Call) -> None:
        clock = asyncio.get_running_loop().time
        with call.utterances(started=lambda each: self.begun.append((clock(), each)), **self.options) as spoken:
            try:
                async for utterance in spoken:
                    self.taken.append(clock())
                    sound = b""
                    async for pcm in utterance:
                        self.pieces.append((round(clock(), 3), len(pcm)))
                        sound += pcm
                    self.utterances.append((utterance, sound))
            finally:
                self.dropped = spoken.dropped


async def listen(loop: VirtualLoop, listener: Listener, ms: float, *said: tuple[float, bytes]) -> Caller:
    caller = Caller(loop, library_of())
    await caller.call(listener.run, ms, *((at, lambda pcm=pcm: caller.say(pcm)) for at, pcm in said))
    return caller


@in_virtual_time
async def test_an_utterance_has_its_times_and_a_little_more_sound_at_both_ends(loop: VirtualLoop) -> None:
    listener, said = Listener(end_silence=0.6), voice(1000)
    await listen(loop, listener, 4000, (1000, said))
    ((utterance, sound),) = listener.utterances
    before, _, after = sound.partition(said)
    assert not any(before + after)
    assert len(before) == 15 * 320
    assert utterance.start == pytest.approx(1.0)
    assert utterance.end - 2.0 == pytest.approx((len(after) - 30 * 320) / 16_000)  # a detector lingers some frames
    assert 2.0 <= utterance.end <= 2.2
    assert utterance.heard_at == pytest.approx(utterance.end - 0.01)  # frame n is sent at n·20 + 10 ms
    assert utterance.over_at == pytest.approx(utterance.heard_at + 0.6)
    assert utterance.seconds == pytest.approx(len(sound) / 16_000)
    assert (utterance.over, utterance.cut) == (True, False)


@in_virtual_time
async def test_it_is_heard_while_it_is_said(loop: VirtualLoop) -> None:
    listener = Listener()
    await listen(loop, listener, 3000, (1000, voice(1000)))
    assert listener.pieces[0] == (1.05, 18 * 320)
    assert listener.pieces[1:10] == [(pytest.approx(1.15 + n * 0.1), 1600) for n in range(9)]


@pytest.mark.parametrize("onset", [2, 3])
@in_virtual_time
async def test_its_beginning_is_told_after_so_many_frames(loop: VirtualLoop, onset: int) -> None:
    listener = Listener(onset=onset)
    await listen(loop, listener, 4000, (1000, voice(1000)))
    ((at, utterance),) = listener.begun
    assert at == pytest.approx(1.01 + (onset - 1) * 0.02)
    assert listener.taken == [at]
    assert utterance.start == pytest.approx(1.0)


@in_virtual_time
async def test_a_short_pause_does_not_end_it_a_long_one_does(loop: VirtualLoop) -> None:
    listener = Listener(end_silence=0.5)
    await listen(loop, listener, 5000, (1000, voice(500)), (1800, voice(500)), (3200, voice(500, 2)))
    assert [round(utterance.start, 2) for utterance, _ in listener.utterances] == [1.0, 3.2]
    assert voice(500, 2) in listener.utterances[1][1]


@in_virtual_time
async def test_one_that_is_too_long_is_cut_and_goes_on_in_the_next(loop: VirtualLoop) -> None:
    listener, said = Listener(longest=2.0), voice(5000)
    await listen(loop, listener, 8000, (1000, said))
    assert [utterance.cut for utterance, _ in listener.utterances] == [True, True, False]
    assert [round(utterance.seconds, 2) for utterance, _ in listener.utterances[:2]] == [2.0, 2.0]
    assert said in b"".join(sound for _, sound in listener.utterances)
    times = [(utterance.start, utterance.end) for utterance, _ in listener.utterances]
    assert all(start < end for start, end in times)
    assert all(one[1] <= other[0] for one, other in pairwise(times))


@pytest.mark.parametrize("onset", [2, 3])
@in_virtual_time
async def test_keys_are_no_utterance_and_not_heard_in_one(loop: VirtualLoop, onset: int) -> None:
    listener, said = Listener(onset=onset), voice(500)
    await listen(loop, listener, 6000, (500, digits("12345#", on_ms=200)), (3000, said + digits("5", on_ms=400)))
    ((utterance, sound),) = listener.utterances
    assert utterance.start == pytest.approx(3.0)
    rest = sound.split(said)[1]
    assert np.count_nonzero(np.frombuffer(rest, "<i2")) < 0.06 * 8000  # of the tone, until it is known to be one


@in_virtual_time
async def test_a_peer_that_sends_nothing_any_more_has_ended_it(loop: VirtualLoop) -> None:
    listener = Listener(end_silence=0.5)
    caller = Caller(loop, library_of())
    caller.quiet = True
    await caller.call(listener.run, 4000, (0, lambda: caller.say(SILENCE * 50 + voice(1000))))
    ((utterance, sound),) = listener.utterances
    assert sound.endswith(voice(1000))
    assert utterance.over_at == pytest.approx(2.0 - 0.01 + 0.5 + 0.5)


@in_virtual_time
async def test_when_the_call_ends_what_was_said_is_there(loop: VirtualLoop) -> None:
    kept: list[bytes] = []

    async def run(call: Call) -> None:
        with call.utterances() as utterances:
            try:
                await call.silence()
            finally:
                utterances.close()
                kept.extend([b"".join([pcm async for pcm in utterance]) async for utterance in utterances])

    caller = Caller(loop, library_of())
    await caller.call(run, 2000, (1000, lambda: caller.say(voice(3000))))
    (sound,) = kept
    assert sound.endswith(voice(3000)[: 50 * 320])


@in_virtual_time
async def test_what_waits_is_bounded_and_what_is_lost_is_told(loop: VirtualLoop) -> None:
    lost: list[Utterance] = []
    utterances = Utterances(loop.time, longest=10.0, end_silence=0.5, lost=lost.append)
    for n in range(12):
        utterances.take(Audio(voice(9000, n) + SILENCE * 50))
    utterances.close()
    left = [utterance async for utterance in utterances]
    assert utterances.dropped == len(lost) == 12 - len(left)
    assert lost[0].start == 0.0
    assert left[0].start > lost[-1].end
    assert 60 - 10 < sum(utterance.seconds for utterance in left) < 60 + 10


@in_virtual_time
async def test_messages_of_any_length_are_the_same(loop: VirtualLoop) -> None:
    sound = SILENCE * 30 + voice(700) + SILENCE * 60
    heard = []
    for size in (len(sound), 320, 100, 7000):
        utterances = Utterances(loop.time)
        for at in range(0, len(sound), size):
            utterances.take(Audio(sound[at : at + size]))
        utterances.close()
        heard.append([b"".join([pcm async for pcm in utterance]) async for utterance in utterances])
    assert heard[0]
    assert all(each == heard[0] for each in heard)


def feed(loop: VirtualLoop, utterances: Utterances, pcm: bytes) -> None:
    """Sound that comes frame by frame, in no time."""
    for at in range(0, len(pcm), 320):
        utterances.take(Audio(pcm[at : at + 320]))


@in_virtual_time
async def test_those_that_wait_are_numbered_and_can_be_taken_at_once(loop: VirtualLoop) -> None:
    begun: list[Utterance] = []
    utterances = Utterances(loop.time, started=begun.append)
    assert (utterances.waiting, utterances.current, utterances.left()) == (False, None, [])
    await asyncio.sleep(5)
    for _ in range(3):
        feed(loop, utterances, voice(500))
        assert utterances.current is begun[-1]
        assert (begun[-1].over, begun[-1].cut, begun[-1].over_at) == (False, False, 5.0)
        feed(loop, utterances, SILENCE * 50)
        assert utterances.current is None
    assert utterances.waiting
    assert [each.number for each in begun] == [1, 2, 3]
    assert [each.heard_at for each in begun] == [5.0] * 3
    assert utterances.left() == begun
    assert (utterances.waiting, utterances.left(), utterances.dropped) == (False, [], 0)


@in_virtual_time
async def test_keys_by_messages_are_no_sound(loop: VirtualLoop) -> None:
    utterances = Utterances(loop.time)
    utterances.take(Digit("5"))
    feed(loop, utterances, voice(500))
    utterances.take(Digit("5"))
    utterances.close()
    assert len(utterances.left()) == 1


@in_virtual_time
async def test_who_waits_for_the_next_is_told_of_the_end(loop: VirtualLoop) -> None:
    utterances = Utterances(loop.time)
    waiting = asyncio.ensure_future(anext(utterances, None))
    await asyncio.sleep(1)
    assert not waiting.done()
    utterances.close()
    assert await waiting is None
    assert await anext(utterances, None) is None


@in_virtual_time
async def test_one_under_way_is_over_with_its_listener_and_no_timer_is_left(loop: VirtualLoop) -> None:
    utterances, sound = Utterances(loop.time), voice(500)
    feed(loop, utterances, sound)
    utterance = await anext(utterances)
    assert not utterance.over
    utterances.close()
    assert utterance.over
    assert b"".join([pcm async for pcm in utterance]).endswith(sound)
    assert loop.waiting == []


@in_virtual_time
async def test_without_a_pause_an_utterance_ends_with_its_last_voice(loop: VirtualLoop) -> None:
    utterances = Utterances(loop.time, end_silence=0.0)
    feed(loop, utterances, SILENCE * 20 + voice(500) + SILENCE * 20)
    (utterance,) = utterances.left()
    assert utterance.over
    assert utterance.seconds == pytest.approx(0.3 + utterance.end - utterance.start + 0.02)


@in_virtual_time
async def test_what_an_utterance_is_where_nothing_else_is_said(loop: VirtualLoop) -> None:
    """A pause of 0.7 s ends it, and thirty seconds do."""
    listener = Listener()
    await listen(loop, listener, 36_000, (1000, voice(32_000)))
    (first, _), (second, _) = listener.utterances
    assert (first.cut, second.cut) == (True, False)
    assert first.seconds == pytest.approx(30.0)
    assert second.over_at - second.heard_at == pytest.approx(0.7)


class Engine:
    """Has words for an utterance so many seconds after all of it has come."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.cancelled = seconds, False

    @property
    def not_ready_reason(self) -> str:
        return ""

    async def recognise(self, audio: Any, on_partial: Any, language: str = "") -> Recognition:
        async for _ in audio:
            pass
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return Recognition(f"words in {language}", 0.5)

    def preload(self) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize("over", [False, True])
@in_virtual_time
async def test_words_are_waited_for_from_its_end_on(loop: VirtualLoop, over: bool) -> None:
    """However long it lasts; of one that is over already, from now on."""
    said = []
    for seconds in (2.9, 3.1):
        utterance, engine = Utterance(1, 0.0, loop.time), Engine(seconds)
        utterance.add(voice(20))
        if over:
            utterance.finish()
        else:
            loop.call_later(60, utterance.finish)
        began = loop.time()
        try:
            said.append((await utterance.words(engine, 3.0, language="en")).text)
        except EngineError as error:
            said.append(str(error))
        waited = loop.time() - began - (0 if over else 60)
        assert waited == pytest.approx(min(seconds, 3.0))
        assert engine.cancelled is (seconds > 3)
        utterance.finish()  # nobody waits for its end any more
    assert said == ["words in en", "no words within 3 s of the end"]
