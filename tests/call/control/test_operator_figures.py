"""What operators are told of a call: its sounds, its faults and its levels; and the limits of their requests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import quantize, to_bytes
from mediaserver.call import Call
from mediaserver.call.control.operator_control import MAX_PLAYBACKS
from mediaserver.call.listening.listen_in import Side
from mediaserver.call.listening.talker import Role
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip
from mediaserver.wire import rtp
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import sine
from tests.virtual import VirtualLoop, in_virtual_time

SECOND = Clip(to_bytes(np.full(8000, 8000, np.int16)), "second")


async def quiet(call: Call) -> None:
    await call.silence()


# -- requests --------------------------------------------------------------------------------------


@in_virtual_time
async def test_so_many_sounds_of_requests_wait_and_no_more(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator, ids = caller.session.operator, list[str]()

    def fill() -> None:
        ids.extend(operator.play(Playlist([SECOND])) for _ in range(MAX_PLAYBACKS))
        with pytest.raises(RefusedError, match=f"{MAX_PLAYBACKS} sounds wait on this stream already") as refused:
            operator.play(Playlist([SECOND]))
        assert refused.value.reason is RefusalReason.STREAM_BUSY

    def add() -> None:
        operator.stop(ids[-1])
        ids.append(operator.play(Playlist([SECOND])))

    await caller.call(quiet, 500, (100, fill), (200, lambda: operator.stop(ids[5])), (300, add))
    assert len(set(ids)) == MAX_PLAYBACKS + 1
    assert [told["playback"] for told in caller.backend.events_of("playback.done")[:2]] == [ids[5], ids[19]]


@in_virtual_time
async def test_a_playback_can_be_stopped_once_and_while_it_lasts(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator, ids = caller.session.operator, list[str]()

    def refused(playback: str) -> None:
        with pytest.raises(RefusedError, match=f"no playback {playback} on this stream") as refused:
            operator.stop(playback)
        assert refused.value.reason is RefusalReason.UNKNOWN_PLAYBACK

    def stop_twice() -> None:
        operator.stop(ids[0])
        refused(ids[0])  # although its end is not told yet

    play = (100, lambda: ids.append(operator.play(Playlist([SECOND]))))
    await caller.call(quiet, 900, (50, lambda: refused("0badcafe")), play, (400, stop_twice))
    assert caller.backend.events_of("playback.done") == [
        {"playback": ids[0], "seconds": pytest.approx(0.3, abs=0.03), "complete": False}
    ]
    refused(ids[0])


@in_virtual_time
async def test_a_sound_of_a_request_answers_the_call(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    answered: list[bool] = []

    def play() -> None:
        answered.append(caller.session.control.answered)
        caller.session.operator.play(Playlist([SECOND]))
        answered.append(caller.session.control.answered)

    await caller.call(quiet, 300, (100, play))
    assert answered == [False, True]


@in_virtual_time
async def test_every_change_of_gain_and_mute_is_told_with_who_made_it(loop: VirtualLoop) -> None:
    operator = (caller := Caller(loop, library_of({}))).session.operator
    operator.set_gain(-6.0, "desk")
    operator.mute(Side.US, muted=True, by="lead")
    operator.mute(Side.CALLER, muted=True)
    operator.mute(Side.US, muted=False)
    assert caller.backend.events_of("stream.adjusted") == [
        {"gain": -6.0, "muted": [], "by": "desk"},
        {"gain": -6.0, "muted": ["us"], "by": "lead"},
        {"gain": -6.0, "muted": ["caller", "us"], "by": ""},
        {"gain": -6.0, "muted": ["caller"], "by": ""},
    ]
    assert (operator.history["gain"], operator.history["muted"]) == (-6.0, ["caller"])


# -- sounds ----------------------------------------------------------------------------------------


@in_virtual_time
async def test_what_plays_now_has_a_name_as_long_as_it_lasts(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator, names = caller.session.operator, list[str]()
    look = [(at, lambda: names.append(operator.playing)) for at in (50, 300, 1500)]
    await caller.call(quiet, 1600, (100, lambda: operator.play(Playlist([SECOND]))), *look)
    assert names == ["", "second", ""]


@in_virtual_time
async def test_prompts_that_are_too_soft_or_too_loud_are_named_once(loop: VirtualLoop) -> None:
    """Those that have played, and the one that plays; not those that are as they should be."""
    library = library_of(dict.fromkeys(("soft", "good", "loud", "unheard"), np.full(4000, 1000, np.int16)))
    levels = {"soft": -45.0, "good": -26.0, "loud": -9.0, "unheard": -45.0}
    for name, prompt in library.prompts.items():
        prompt.info = prompt.info._replace(loudness_lufs=levels[name])
    caller = Caller(loop, library)
    told: list[list[str]] = []

    async def play(call: Call) -> None:
        for name in ("soft", "good", "soft", "loud"):
            await call.play(name)

    look = [(at, lambda: told.append(caller.session.operator.history["prompt_warnings"])) for at in (400, 1900)]
    await caller.call(play, 1950, *look)
    warnings = [f"{name} is {name}: {levels[name]:.1f} LUFS" for name in ("soft", "loud")]
    assert [[text.partition(",")[0] for text in texts] for texts in told] == [warnings[:1], warnings]


# -- faults ----------------------------------------------------------------------------------------


@in_virtual_time
async def test_frames_that_were_late_or_left_out_are_counted(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}), WireSettings(framing=Framing.PCM, lead=3))
    operator = caller.session.operator
    await caller.call(quiet, 1000, (500, lambda: loop.stall(200)))
    assert (operator.late, operator.skipped) == (3, 6)  # of ten, those of the lead were sent in bulk
    assert operator.faults[:2] == (3 * 100 // (caller.session.frames + 1), 6)


@in_virtual_time
async def test_each_fault_of_a_stream_is_seen_at_a_glance(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}), WireSettings(Encapsulation.RTP))
    caller.quiet = True
    operator, session, transport = caller.session.operator, caller.session, caller.stage.transport
    seen: list[list[int]] = []

    def see() -> None:
        seen.append([place for place, count in enumerate(operator.faults) if count])

    live = LiveSource(0)
    live.push_audio(SECOND.pcm[:320])
    causes = [
        lambda: session.receive_binary(b"no packet"),
        lambda: setattr(transport, "buffered", 9999),  # the far end does not read
        lambda: setattr(transport, "buffered", 0),
        lambda: operator.play(live),  # of which no more sound comes
        live.end,
        lambda: session.failures.add("recording.failed", "no space"),
        lambda: operator.set_gain(1.0),
    ]
    acts = [act for n, cause in enumerate(causes) for act in ((200 * n + 100, cause), (200 * n + 290, see))]
    await caller.call(quiet, 1800, (50, see), *acts)
    assert seen == [[], [4], [2, 4], [2, 4], [2, 3, 4], [2, 3, 4], [2, 3, 4, 6], [2, 3, 4, 6, 8]]


@in_virtual_time
async def test_what_an_operator_has_changed_counts_as_a_fault_each(loop: VirtualLoop) -> None:
    operator = Caller(loop, library_of({})).session.operator
    changed = [operator.faults[-1]]
    for change in (
        lambda: operator.set_gain(-3.0),
        lambda: operator.mute(Side.US, muted=True),
        lambda: operator.mute(Side.CALLER, muted=True),
        lambda: operator.set_gain(0.0),
    ):
        change()
        changed.append(operator.faults[-1])
    assert changed == [0, 1, 2, 3, 2]


@in_virtual_time
async def test_rtp_packets_that_are_lost_while_somebody_listens_are_counted(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}), WireSettings(Encapsulation.RTP))
    caller.quiet = True
    operator, lost = caller.session.operator, list[int]()

    async def listen(call: Call) -> None:
        with call.listen(lambda event: None):
            await call.silence()

    def receive(number: int) -> Callable[[], None]:
        packet = rtp.Packet(rtp.PayloadType.PCMU, number, 160 * number, 7, b"\xff" * 160)
        return lambda: caller.session.receive_binary(rtp.serialize(packet))

    acts = [(20 * n, receive(n)) for n in range(1, 100) if n not in (30, 31, 50)]
    await caller.call(listen, 2000, (500, lambda: lost.append(operator.lost)), *acts)
    assert (lost, operator.lost) == ([0], 3)


@pytest.mark.parametrize(("recorded", "told"), [(True, True), (False, False)])
@in_virtual_time
async def test_whether_a_faint_caller_is_told_of(
    loop: VirtualLoop, tmp_path: Path, recorded: bool, told: bool
) -> None:
    """A recording wants sound. Where only an operator listens in to a menu, the caller may be silent."""
    caller = Caller(loop, library_of({}))
    operator = caller.session.operator
    caller.say(to_bytes(quantize(sine(700, 30, 8000, 10 ** (-50 / 20)))))

    async def run(call: Call) -> None:
        if recorded:
            await call.record(tmp_path / "a.wav")
        operator.listeners.start(Side.BOTH, Role.LISTEN, "me")
        _ = call.keypad
        await call.silence()

    await caller.call(run, 22_000)
    assert operator.history["levels"]["caller"]["faint"] is told
