"""What operators' requests do on a call, and what is told of it; under virtual time."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call, Stream
from mediaserver.call.listening.listen_in import Side
from mediaserver.call.stream import MAX_VARIABLES
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.echo import Echo
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, Source
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

LOUD = to_bytes(np.full(16_000, 8000, np.int16))  # two seconds


async def quiet(call: Call) -> None:
    await call.silence()


async def loud(call: Call) -> None:
    await call.play(Clip(LOUD))
    await call.silence()


def sent(caller: Caller) -> list[int]:
    """The first sample of each frame that the caller was sent."""
    return [int(frame[0]) for frame in caller.heard.reshape(-1, 160)]


@in_virtual_time
async def test_a_playback_is_told_with_its_id_and_its_duration_in_whole_frames(loop: VirtualLoop) -> None:
    caller, ids = Caller(loop, library_of({})), list[str]()
    play = (100, lambda: ids.append(caller.session.operator.play(Playlist([Clip(LOUD[:2000])]))))
    await caller.call(quiet, 500, play)
    assert re.fullmatch("[0-9a-f]{8}", ids[0])
    assert caller.backend.events_of("playback.done") == [{"playback": ids[0], "seconds": 0.14, "complete": True}]


@in_virtual_time
async def test_a_playback_that_fails_is_told_with_the_reason(loop: VirtualLoop) -> None:
    def broken() -> Iterator[object]:
        raise OSError(5, "it broke", "the/file.wav")
        yield

    caller, ids = Caller(loop, library_of({})), list[str]()
    play = (100, lambda: ids.append(caller.session.operator.play(Source(broken()))))  # type: ignore[arg-type]
    assert await caller.call(quiet, 500, play) is None
    assert caller.backend.events_of("playback.done") == [
        {"playback": ids[0], "seconds": 0.0, "complete": False, "why": "Input/output error"}
    ]


@in_virtual_time
async def test_we_are_muted_and_made_softer_and_the_sound_plays_on(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator = caller.session.operator
    states: list[tuple[float, frozenset[Side]]] = []
    steps = [
        lambda: operator.mute(Side.US, True),
        lambda: operator.set_gain(-20),  # has no effect yet
        lambda: operator.mute(Side.US, False),
        lambda: operator.set_gain(0),
    ]
    acts = [(200 * n + 200, step) for n, step in enumerate(steps)]
    await caller.call(
        loud, 1200, *acts, *((at + 100, lambda: states.append((operator.gain, operator.muted))) for at, _ in acts)
    )
    assert states == [(0, {Side.US}), (-20, {Side.US}), (-20, set()), (0, set())]
    assert [sent(caller)[at // 20] for at in (100, 300, 500, 700, 900)] == [8000, 0, 0, 800, 8000]


@in_virtual_time
async def test_the_handler_of_a_muted_caller_gets_silence(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator = caller.session.operator
    caller.say(LOUD)
    await caller.call(
        Echo(delay_ms=0).run,
        1200,
        (400, lambda: operator.mute(Side.CALLER, True)),
        (600, lambda: operator.set_gain(6)),  # which leaves the caller muted
        (800, lambda: operator.mute(Side.CALLER, False)),
    )
    echoed = sent(caller)
    assert [echoed[at // 20] > 0 for at in (300, 520, 700, 780, 940)] == [True, False, False, False, True]
    assert operator.muted == set()


@in_virtual_time
async def test_variables_are_changed_added_and_removed(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator, call = caller.session.operator, caller.session.call
    assert operator.set_variables({"name": "other", "more": "1"}) == {"name": "other", "more": "1"}
    assert call.stream.variables == {"name": "other", "more": "1"}
    assert operator.merge_variables({"more": None}) == {"name": "other"}
    assert call.stream.variables == {"name": "other", "more": "1"}  # which only `set_variables` changes
    assert operator.set_variables({"more": None, "unknown": None}) == {"name": "other"}
    assert call.stream.variables == {"name": "other"}
    operator.update_stream(label="vip")
    assert (call.stream.label, call.stream.id, call.stream.variables) == ("vip", "id", {"name": "other"})


@pytest.mark.parametrize("had", [0, MAX_VARIABLES, MAX_VARIABLES + 10])
@in_virtual_time
async def test_a_stream_has_no_more_variables_than_it_may(loop: VirtualLoop, had: int) -> None:
    """A URL path may have given it more: these may be changed, but there may not be one more of them."""
    stream = Stream("id", "/path", "peer", variables={f"v{n}": "" for n in range(had)})
    operator = Caller(loop, library_of({}), stream=stream).session.operator
    most = max(had, MAX_VARIABLES)
    full = {f"v{n}": "x" for n in range(most)}
    assert operator.set_variables(full) == full
    with pytest.raises(RefusedError, match=f"a stream may have at most {MAX_VARIABLES}") as refused:
        operator.set_variables({"one": "more"})
    assert refused.value.reason is RefusalReason.BAD_BODY
    assert operator.set_variables({"one": "more", "v0": None})["one"] == "more"
