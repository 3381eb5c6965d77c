"""Texts that interrupt what plays: only when their speech is there; exact, under virtual time."""

import asyncio

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.call import Call
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.speech.tts.spoken_text import SentenceAudio, SpokenText
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.playout.pacing.frames import frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, in_virtual_time


class Speech:
    """A text whose speech is there when the test says so."""

    def __init__(self) -> None:
        self.sentence = SentenceAudio()
        self.text = SpokenText(["Hello."], lambda _: self.sentence)

    def arrive(self, *numbers: int) -> None:
        self.sentence.append_pcm(b"".join(frames(*numbers)))
        self.sentence.finish()


async def play(call: Call) -> None:
    await call.play(source(*range(1, 9)))
    await call.silence()


@pytest.mark.parametrize("by", ["operator", "handler"])
@in_virtual_time
async def test_what_plays_goes_on_until_the_speech_is_there(loop: VirtualLoop, by: str) -> None:
    caller, speech = Caller(loop, library_of({})), Speech()

    def interrupt() -> None:
        if by == "operator":
            caller.session.operator.play(Playlist(speech.text), speech.text, interrupt=True)
        else:
            playing.append(asyncio.ensure_future(caller.session.call.play(speech.text, interrupt=True)))

    playing: list[asyncio.Future[object]] = []
    await caller.call(play, 240, (30, interrupt), (90, lambda: speech.arrive(51, 52)))
    heard = [*frames(1, 2, 3, 4, 5), fade_out(frame(6)), *frames(51, 52), *frames(7, 8)]
    assert sent_frames(caller.stage)[:10] == heard
    await asyncio.gather(*playing)


@in_virtual_time
async def test_speech_that_is_there_interrupts_at_once(loop: VirtualLoop) -> None:
    caller, speech = Caller(loop, library_of({})), Speech()
    speech.arrive(51)
    operator = caller.session.operator
    await caller.call(play, 200, (50, lambda: operator.play(Playlist(speech.text), speech.text, interrupt=True)))
    assert sent_frames(caller.stage)[:6] == [*frames(1, 2, 3), fade_out(frame(4)), *frames(51, 5)]


@in_virtual_time
async def test_a_text_that_is_stopped_before_its_speech_is_there_interrupts_nothing(loop: VirtualLoop) -> None:
    caller, speech = Caller(loop, library_of({})), Speech()
    operator, names = caller.session.operator, list[str]()

    def interrupt() -> None:
        names.append(operator.play(Playlist(speech.text), speech.text, interrupt=True))

    await caller.call(
        play, 300, (30, interrupt), (50, lambda: operator.stop(names[0])), (90, lambda: speech.arrive(51, 52))
    )
    assert sent_frames(caller.stage)[:9] == [*frames(*range(1, 9)), None]
    (done,) = caller.backend.events_of("playback.done")
    assert done == {"playback": names[0], "seconds": 0.0, "complete": False}


@in_virtual_time
async def test_a_text_whose_turn_came_before_its_speech_does_not_interrupt(loop: VirtualLoop) -> None:
    caller, speech = Caller(loop, library_of({})), Speech()
    operator = caller.session.operator

    async def play_briefly(call: Call) -> None:
        await call.play(source(1, 2))
        await call.silence()

    await caller.call(
        play_briefly,
        300,
        (10, lambda: operator.play(Playlist(speech.text), speech.text, interrupt=True)),
        (100, lambda: operator.play(source(7, 8), interrupt=True)),
        (110, lambda: speech.arrive(51, 52)),
    )
    assert [number for number in sent_frames(caller.stage) if number] == frames(1, 2, 7, 8, 51, 52)
