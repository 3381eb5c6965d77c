"""Endpointing: received audio, cut into utterances."""

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.call import Call, Endpointer, Utterance
from mediaserver.errors import EngineError
from mediaserver.speech.stt.interface import Recognition
from mediaserver.wire.events import Audio, Digit
from tests import sound
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


def voice(ms: float, seed: int = 1) -> bytes:
    """Loud enough from its first sample to its last; another voice for each seed."""
    loud = sound.voice(round(ms * 8), 105 + 10 * seed).astype(float)
    return to_bytes(np.where(np.abs(loud) < 300, 300, loud).astype(np.int16))


class Listener:
    """A handler that keeps the utterances of its call."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.utterances: list[tuple[Utterance, bytes]] = []
        self.begun: list[tuple[float, Utterance]] = []  # told at once, with their times
        self.taken: list[float] = []  # when an utterance was there to be iterated over
        self.pieces: list[tuple[float, int]] = []
        self.dropped = 0

    async def run(self, call: Call) -> None:
        clock = asyncio.get_running_loop().time
        with call.utterances(on_start=lambda each: self.begun.append((clock(), each)), **self.options) as spoken:
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
async def test_an_utterance_has_its_times_and_a_little_more_audio_at_both_ends(loop: VirtualLoop) -> None:
    listener, said = Listener(end_silence=0.6), voice(1000)
    await listen(loop, listener, 4000, (1000, said))
    ((utterance, sound),) = listener.utterances
    before, _, after = sound.partition(said)
    assert not any(before + after)
    assert len(before) == 15 * 320
    assert utterance.start == pytest.approx(1.0)
    assert utterance.end - 2.0 == pytest.approx((len(after) - 30 * 320) / 16_000)  # a detector lingers some frames
    assert 2.0 <= utterance.end <= 2.2
    assert utterance.last_voice_at == pytest.approx(utterance.end - 0.01)  # frame n is sent at n·20 + 10 ms
    assert utterance.ended_at == pytest.approx(utterance.last_voice_at + 0.6)
    assert utterance.seconds == pytest.approx(len(sound) / 16_000)
    assert (utterance.ended, utterance.cut) == (True, False)


@in_virtual_time
async def test_an_utterance_can_be_read_while_it_is_spoken(loop: VirtualLoop) -> None:
    listener = Listener()
    await listen(loop, listener, 3000, (1000, voice(1000)))
    assert listener.pieces[0] == (1.07, 19 * 320)
    assert listener.pieces[1:10] == [(pytest.approx(1.17 + n * 0.1), 1600) for n in range(9)]


@pytest.mark.parametrize(("mode", "frames"), [(0, 3), (2, 4), (3, 5)])
@in_virtual_time
async def test_an_utterance_begins_once_there_is_evidence_of_speech(
    loop: VirtualLoop, mode: int, frames: int
) -> None:
    listener = Listener(mode=mode)
    await listen(loop, listener, 4000, (1000, voice(1000)))
    ((at, utterance),) = listener.begun
    assert at == pytest.approx(1.01 + (frames - 1) * 0.02)
    assert listener.taken == [at]
    assert utterance.start == pytest.approx(1.0)


@in_virtual_time
async def test_a_long_pause_ends_an_utterance_and_a_short_one_does_not(loop: VirtualLoop) -> None:
    listener = Listener(end_silence=0.5)
    await listen(loop, listener, 5000, (1000, voice(500)), (1800, voice(500)), (3200, voice(500, 2)))
    assert [round(utterance.start, 2) for utterance, _ in listener.utterances] == [1.0, 3.2]
    assert voice(500, 2) in listener.utterances[1][1]


@in_virtual_time
async def test_an_utterance_that_is_too_long_is_cut_and_continues_in_the_next(loop: VirtualLoop) -> None:
    listener, said = Listener(max_duration=2.0), voice(5000)
    await listen(loop, listener, 8000, (1000, said))
    assert [utterance.cut for utterance, _ in listener.utterances] == [True, True, False]
    assert [round(utterance.seconds, 2) for utterance, _ in listener.utterances[:2]] == [2.0, 2.0]
    assert said in b"".join(sound for _, sound in listener.utterances)
    times = [(utterance.start, utterance.end) for utterance, _ in listener.utterances]
    assert all(start < end for start, end in times)
    assert all(one[1] <= other[0] for one, other in pairwise(times))


@pytest.mark.parametrize("mode", [0, 2])
@in_virtual_time
async def test_dtmf_is_no_utterance_and_silenced_within_one(loop: VirtualLoop, mode: int) -> None:
    listener, said = Listener(mode=mode), voice(500)
    await listen(loop, listener, 6000, (500, digits("12345#", on_ms=200)), (3000, said + digits("5", on_ms=400)))
    ((utterance, sound),) = listener.utterances
    assert utterance.start == pytest.approx(3.0)
    rest = sound.split(said)[1]
    assert np.count_nonzero(np.frombuffer(rest, "<i2")) < 0.06 * 8000  # of the tone, until it is known to be one


@in_virtual_time
async def test_an_utterance_ends_where_the_peer_stops_sending(loop: VirtualLoop) -> None:
    listener = Listener(end_silence=0.5)
    caller = Caller(loop, library_of())
    caller.quiet = True
    await caller.call(listener.run, 4000, (0, lambda: caller.say(SILENCE * 50 + voice(1000))))
    ((utterance, sound),) = listener.utterances
    assert sound.endswith(voice(1000))
    assert utterance.ended_at == pytest.approx(2.0 - 0.01 + 0.5 + 0.5)


@in_virtual_time
async def test_an_utterance_can_be_read_after_the_call_has_ended(loop: VirtualLoop) -> None:
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
async def test_pending_utterances_are_bounded_and_dropped_ones_reported(loop: VirtualLoop) -> None:
    lost: list[Utterance] = []
    utterances = Endpointer(loop.time, max_duration=10.0, end_silence=0.5, on_dropped=lost.append)
    for n in range(12):
        utterances.on_event(Audio(voice(9000, n) + SILENCE * 50))
    utterances.close()
    left = [utterance async for utterance in utterances]
    assert utterances.dropped == len(lost) == 12 - len(left)
    assert lost[0].start == 0.0
    assert left[0].start > lost[-1].end
    assert 60 - 10 < sum(utterance.seconds for utterance in left) < 60 + 10


@in_virtual_time
async def test_the_length_of_messages_does_not_matter(loop: VirtualLoop) -> None:
    sound = SILENCE * 30 + voice(700) + SILENCE * 60
    heard = []
    for size in (len(sound), 320, 100, 7000):
        utterances = Endpointer(loop.time)
        for at in range(0, len(sound), size):
            utterances.on_event(Audio(sound[at : at + size]))
        utterances.close()
        heard.append([b"".join([pcm async for pcm in utterance]) async for utterance in utterances])
    assert heard[0]
    assert all(each == heard[0] for each in heard)


def feed(loop: VirtualLoop, utterances: Endpointer, pcm: bytes) -> None:
    """Feed audio frame by frame, without time passing."""
    for at in range(0, len(pcm), 320):
        utterances.on_event(Audio(pcm[at : at + 320]))


@in_virtual_time
async def test_pending_utterances_are_numbered_and_can_be_taken_at_once(loop: VirtualLoop) -> None:
    begun: list[Utterance] = []
    utterances = Endpointer(loop.time, on_start=begun.append)
    assert (utterances.has_pending, utterances.current, utterances.take_pending()) == (False, None, [])
    await asyncio.sleep(5)
    for _ in range(3):
        feed(loop, utterances, voice(500))
        assert utterances.current is begun[-1]
        assert (begun[-1].ended, begun[-1].cut, begun[-1].ended_at) == (False, False, 5.0)
        feed(loop, utterances, SILENCE * 50)
        assert utterances.current is None
    assert utterances.has_pending
    assert [each.number for each in begun] == [1, 2, 3]
    assert [each.last_voice_at for each in begun] == [5.0] * 3
    assert utterances.take_pending() == begun
    assert (utterances.has_pending, utterances.take_pending(), utterances.dropped) == (False, [], 0)


@in_virtual_time
async def test_keys_by_messages_are_no_sound(loop: VirtualLoop) -> None:
    utterances = Endpointer(loop.time)
    utterances.on_event(Digit("5"))
    feed(loop, utterances, voice(500))
    utterances.on_event(Digit("5"))
    utterances.close()
    assert len(utterances.take_pending()) == 1


@in_virtual_time
async def test_a_waiting_iteration_ends_with_the_endpointer(loop: VirtualLoop) -> None:
    utterances = Endpointer(loop.time)
    waiting = asyncio.ensure_future(anext(utterances, None))
    await asyncio.sleep(1)
    assert not waiting.done()
    utterances.close()
    assert await waiting is None
    assert await anext(utterances, None) is None


@in_virtual_time
async def test_an_utterance_in_progress_ends_with_its_listener_and_no_timer_is_left(loop: VirtualLoop) -> None:
    utterances, sound = Endpointer(loop.time), voice(500)
    feed(loop, utterances, sound)
    utterance = await anext(utterances)
    assert not utterance.ended
    utterances.close()
    assert utterance.ended
    assert b"".join([pcm async for pcm in utterance]).endswith(sound)
    assert loop.waiting == []


@in_virtual_time
async def test_without_a_pause_an_utterance_ends_with_its_last_voice(loop: VirtualLoop) -> None:
    utterances = Endpointer(loop.time, end_silence=0.0)
    feed(loop, utterances, SILENCE * 20 + voice(500) + SILENCE * 20)
    utterance, *_ = utterances.take_pending()
    assert utterance.ended
    assert utterance.seconds == pytest.approx(0.3 + utterance.end - utterance.start + 0.02)


@in_virtual_time
async def test_the_defaults_of_endpointing(loop: VirtualLoop) -> None:
    """A pause of 0.7 s ends it, and thirty seconds do."""
    listener = Listener()
    await listen(loop, listener, 36_000, (1000, voice(32_000)))
    (first, _), (second, _) = listener.utterances
    assert (first.cut, second.cut) == (True, False)
    assert first.seconds == pytest.approx(30.0)
    assert second.ended_at - second.last_voice_at == pytest.approx(0.7)


class Engine:
    """A recogniser that takes so many seconds after the end of an utterance."""

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
async def test_the_time_out_of_recognition_begins_at_the_end_of_an_utterance(
    loop: VirtualLoop, over: bool
) -> None:
    """However long it lasts; of one that is over already, from now on."""
    said = []
    for seconds in (2.9, 3.1):
        utterance, engine = Utterance(1, 0.0, loop.time), Engine(seconds)
        utterance.push_frame(voice(20))
        if over:
            utterance.finish()
        else:
            loop.call_later(60, utterance.finish)
        began = loop.time()
        try:
            said.append((await utterance.transcribe(engine, 3.0, language="en")).text)
        except EngineError as error:
            said.append(str(error))
        waited = loop.time() - began - (0 if over else 60)
        assert waited == pytest.approx(min(seconds, 3.0))
        assert engine.cancelled is (seconds > 3)
        utterance.finish()  # nobody waits for its end any more
    assert said == ["words in en", "no words within 3 s of the end"]
