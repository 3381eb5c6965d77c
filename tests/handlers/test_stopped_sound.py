"""What handlers do when a request stops all sound: the call goes on, under virtual time."""

from collections.abc import Callable

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call, End
from mediaserver.handlers import Handler
from mediaserver.handlers.echo import Echo
from mediaserver.handlers.hold_music import HoldMusic
from mediaserver.handlers.noise import Noise
from mediaserver.handlers.playback import Playback
from mediaserver.handlers.tone import Tone
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time

BEEP = Clip(to_bytes(speechlike(800, 7)))  # five frames


def beep(caller: Caller) -> Callable[[], object]:
    return lambda: caller.session.operator.play(Playlist([BEEP]))


@pytest.mark.parametrize(
    "handler",
    [
        HoldMusic(prompts=("music/*",)),
        HoldMusic(prompts=("music/a",), shared=False, announcement="welcome", announce_every=1),
        Playback(prompt="odd", repeat="forever"),
        Playback(prompts=("odd", "welcome"), repeat="forever", gap_ms=20, then="hangup"),
        Tone(tone="sine:440"),
        Noise(level=-20),
    ],
)
@in_virtual_time
async def test_where_endless_sound_is_stopped_the_call_goes_on_in_silence(
    handler: Handler, loop: VirtualLoop
) -> None:
    caller = Caller(loop, library_of())
    stop = caller.session.operator.clear
    # The second stop has nothing to stop. A sound that is asked for later is heard.
    end = await caller.call(handler.run, 60_000, (500, stop), (1000, stop), (30_000, beep(caller)))
    assert end is None
    sounding = caller.sounding()
    assert sounding[:20].any()
    assert np.flatnonzero(sounding[27:]).tolist() == list(range(1474, 1479))


@in_virtual_time
async def test_what_waits_behind_endless_sound_is_heard_when_that_is_stopped(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    end = await caller.call(
        HoldMusic(prompts=("music/a",)).run, 2000, (100, beep(caller)), (500, caller.session.operator.clear)
    )
    assert end is None
    assert (caller.heard.reshape(-1, 160)[27:32].ravel() == speechlike(800, 7)).all()
    assert not caller.sounding()[32:].any()


@pytest.mark.parametrize(("delay_ms", "delay"), [(60, 3), (1000, 50)])
@in_virtual_time
async def test_an_echo_drops_what_waits_and_echoes_again(delay_ms: int, delay: int, loop: VirtualLoop) -> None:
    """Each frame that the caller says has a number of its own; number 76 is the first one after the stop."""
    caller = Caller(loop, library_of())
    said = to_bytes(np.repeat(np.arange(1, 151, dtype=np.int16), 160))
    stop = (1510, caller.session.operator.clear)
    assert await caller.call(Echo(delay_ms=delay_ms).run, 6000, (0, lambda: caller.say(said)), stop) is None
    heard = caller.heard.reshape(-1, 160)[:, 0].tolist()
    before = [0] * delay + list(range(1, 77 - delay + 1))  # the last of these fades out
    after = [0] * (75 + delay - len(before)) + list(range(76, 151))
    assert heard == [*before, *after] + [0] * (300 - len(before) - len(after))


@in_virtual_time
async def test_a_prompt_that_is_stopped_is_as_over_as_one_that_was_heard(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    end = await caller.call(
        Playback(prompt="music/b", linger_ms=100).run, 1500, (200, caller.session.operator.clear)
    )
    assert end is not None
    assert end.code == 1000
    assert len(caller.heard) // 160 == 11 + 1 + 5  # what was heard, the fade, and the silence before the end


@in_virtual_time
async def test_a_handler_stops_endless_sound_itself_after_a_request_did(loop: VirtualLoop) -> None:
    async def run(call: Call) -> None:
        assert not await call.prompt(HoldMusic(prompts=("music/a",))._source(call))
        await call.play("welcome")

    caller = Caller(loop, library_of())
    end: End | None = await caller.call(
        run, 3000, (200, caller.session.operator.clear), (1000, lambda: caller.session.call.clear())
    )
    assert end is not None
    assert (caller.heard.reshape(-1, 160)[51:61].ravel() == speechlike(1600, 1)).all()
