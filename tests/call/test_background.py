"""A call with a background: by the settings of its path, or by its handler."""

import asyncio
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mediaserver.audio.pcm import Samples
from mediaserver.call import Call, End, EndReason
from mediaserver.errors import PromptError
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.handlers.noise import Silence
from mediaserver.handlers.playback import Playback
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.runtime.sessions import run_handler
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import read_stereo
from tests.virtual import VirtualLoop, in_virtual_time

FADE_IN = 20 * 160  # samples
LEVEL = -20.0  # dBov that the prompts below are taken to have


def tone(hertz: float, peak: float = 4000, samples: int = 8000) -> Samples:
    return np.rint(peak * np.sin(2 * np.pi * hertz * np.arange(samples) / 8000)).astype(np.int16)


OFFICE, GERMAN, SPEECH = tone(200), tone(250), tone(600)


def library() -> PromptLibrary:
    """Prompts that are measured already."""
    found = library_of({"office": OFFICE, "office.de": GERMAN, "speech": SPEECH, "empty": OFFICE[:0]})
    for prompt in found.prompts.values():
        prompt.level = asyncio.get_running_loop().create_future()
        prompt.level.set_result(LEVEL)
    return found


async def heard_from(loop: VirtualLoop, handler: Handler, ms: float = 1000) -> Samples:
    """What a caller hears of a handler."""
    caller = Caller(loop, library())
    running = asyncio.create_task(run_handler(caller.session, handler))
    await caller.stage.until(ms)
    caller.session.finish(End(EndReason.PEER_CLOSED, 1000))
    await running
    return caller.heard


def repeated(samples: Samples, count: int, gain: float = 0.0) -> Samples:
    return np.rint(np.resize(samples, count) * 10 ** (gain / 20)).astype(np.int16)


@in_virtual_time
async def test_a_path_that_plays_nothing_has_its_background_alone(loop: VirtualLoop) -> None:
    heard = await heard_from(loop, Silence(background="office", background_level=-20.0))
    assert len(heard) >= 49 * 160
    assert (heard[FADE_IN:] == repeated(OFFICE, len(heard))[FADE_IN:]).all()
    fading = np.abs(heard[:FADE_IN].reshape(-1, 160)).max(1)
    assert (np.diff(fading) > 0).all()


@in_virtual_time
async def test_level_and_ducking_are_those_of_the_path(loop: VirtualLoop) -> None:
    settings = {"background": "office", "background_level": -32.0, "background_ducking": 6.0}
    heard = await heard_from(loop, Playback(prompt="speech", repeat=2, then="silence", **settings), 3000)
    under = heard[4000:16_000] - np.resize(SPEECH, 20_000)[4000:16_000]
    assert np.abs(under - repeated(OFFICE, 20_000, -18.0)[4000:16_000]).max() <= 2
    assert (heard[-4000:] == repeated(OFFICE, len(heard), -12.0)[-4000:]).all()


@in_virtual_time
async def test_without_a_background_all_is_as_it_was(loop: VirtualLoop) -> None:
    heard = await heard_from(loop, Playback(prompt="speech", then="silence"), 2000)
    assert (heard[:8000] == SPEECH).all()
    assert not heard[8000:].any()


@in_virtual_time
async def test_a_background_without_a_sample_is_none(loop: VirtualLoop) -> None:
    assert not (await heard_from(loop, Silence(background="empty"))).any()


@pytest.mark.parametrize(("language", "loop_of"), [("de", GERMAN), ("fr", OFFICE)])
@in_virtual_time
async def test_it_is_that_of_the_callers_language_and_at_no_gain_of_prompts(
    language: str, loop_of: Samples, loop: VirtualLoop
) -> None:
    class Waits(PlaybackSettings, Handler):
        async def run(self, call: Call) -> None:
            await call.silence()

    handler = Waits(background="office", background_level=-20.0, language=language, gain=-12.0)
    heard = await heard_from(loop, handler)
    assert (heard[FADE_IN:] == repeated(loop_of, len(heard))[FADE_IN:]).all()


class Changing(Handler):
    """Sets backgrounds as it is told, one every second."""

    changes: ClassVar[list[tuple[object, ...]]] = []

    async def run(self, call: Call) -> None:
        for change in self.changes:
            call.set_background(*change)  # type: ignore[arg-type]
            await asyncio.sleep(1)


@in_virtual_time
async def test_a_handler_changes_its_background_and_keeps_the_levels_that_it_has(loop: VirtualLoop) -> None:
    Changing.changes = [("office",), ("office.de", -26.0), ("office",), (None,)]
    heard = await heard_from(loop, Changing(background_level=-32.0), 3990)
    for second, (samples, gain) in enumerate([(OFFICE, -12.0), (GERMAN, -6.0), (OFFICE, -6.0)]):
        part = heard[second * 8000 :][4000:7680].astype(float)
        wanted = repeated(samples, 16_000, gain)
        assert min(np.abs(part - wanted[at : at + len(part)]).max() for at in range(160)) <= 2
    assert not heard[24_000 + 320 : 31_000].any()


@in_virtual_time
async def test_a_prompt_that_there_is_not_is_an_error_as_where_it_is_played(loop: VirtualLoop) -> None:
    caller = Caller(loop, library())
    with pytest.raises(PromptError, match=r'no prompt "ofice" \(did you mean "office"\?\)'):
        caller.session.call.set_background("ofice")


@in_virtual_time
async def test_a_stereo_recording_has_it_as_it_was_heard(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library())

    async def run(call: Call) -> None:
        call.set_background("office", -20.0)
        recording = asyncio.create_task(call.record(tmp_path / "a.wav", stereo=True, max_duration=3))
        await asyncio.sleep(0.5)
        playing = asyncio.create_task(call.play("speech"))
        await asyncio.sleep(0.5)
        call.clear()
        await playing
        await recording

    await caller.call(run, 4000)
    recorded, heard = read_stereo(tmp_path / "a.wav")[:, 1], caller.heard
    assert len(recorded) == 24_000
    offset = next(at for at in range(0, 1600, 160) if (recorded[4000:8000] == heard[at + 4000 : at + 8000]).all())
    assert (recorded[: 23_000 - offset] == heard[offset:23_000]).all()
