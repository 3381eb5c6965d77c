"""Listeners who talk under virtual time: what the far end hears of them, and of what plays."""

from collections.abc import Callable

import numpy as np
import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE, from_bytes, to_bytes
from mediaserver.call import Call
from mediaserver.call.listening.listen_in import ListenIn, Side
from mediaserver.call.listening.talker import Role
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


def numbered(first: int, frames: int, step: int = 1) -> bytes:
    return b"".join((n * step).to_bytes(2, "little", signed=True) * 160 for n in range(first, first + frames))


def cut(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


PROMPT = numbered(1, 150, 8)
SPEECH = numbered(1, 20, -1000)


async def play(call: Call) -> None:
    await call.play(Clip(PROMPT))


async def play_and_wait(call: Call) -> None:
    await call.play(Clip(PROMPT))
    await call.silence()


async def wait(call: Call) -> None:
    await call.silence()


class Talking:
    """A listener who says something on a call."""

    def __init__(self, caller: Caller, role: Role) -> None:
        self.listeners = caller.session.operator.listeners
        self.role = role
        self.listener: ListenIn | None = None

    def come(self) -> None:
        self.listener = self.listeners.start(Side.CALLER, self.role, "me")

    def say(self, pcm: bytes) -> Callable[[], None]:
        return lambda: self.listeners.talk(self._there, pcm)

    def go(self) -> None:
        self.listeners.stop(self._there)

    @property
    def _there(self) -> ListenIn:
        assert self.listener is not None
        return self.listener


def says(talking: Talking, at: int, pcm: bytes, size: int = FRAME_BYTES) -> list[tuple[float, Callable[[], None]]]:
    """PCM in pieces of a size, a piece as often as it lasts, from a time on in ms."""
    return [(at + n / 16, talking.say(pcm[n : n + size])) for n in range(0, len(pcm), size)]


def on(loop: VirtualLoop, encapsulation: Encapsulation = Encapsulation.AUDIOSOCKET) -> Caller:
    return Caller(loop, library_of({}), WireSettings(encapsulation, framing=Framing.PCM))


def heard(caller: Caller) -> list[bytes]:
    return cut(to_bytes(caller.heard))


@pytest.mark.parametrize("size", [320, 640, 500])
@in_virtual_time
async def test_who_barges_in_is_heard_in_place_of_what_plays_which_then_goes_on(
    loop: VirtualLoop, size: int
) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.BARGE)
    acts = [(200, talking.come), *says(talking, 400, SPEECH, size), (820, talking.go)]
    await caller.call(play, 5000, *acts)
    got = heard(caller)
    at = got.index(cut(SPEECH)[0])
    assert got[at : at + 20] == cut(SPEECH)
    before = [frame for frame in got[:at] if frame != SILENCE]
    assert before[:-1] == cut(PROMPT)[: len(before) - 1]
    assert before[-1] == fade_out(cut(PROMPT)[len(before) - 1])
    after = [frame for frame in got[at + 20 :] if frame != SILENCE]
    assert after == cut(PROMPT)[len(before) - 1 :]
    assert caller.session.summary()["underruns"] == 0


@in_virtual_time
async def test_who_whispers_is_heard_over_what_plays_and_over_silence(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.WHISPER)
    acts = [(200, talking.come), *says(talking, 2800, SPEECH), (3220, talking.go)]  # the prompt ends at 3000 ms
    await caller.call(play_and_wait, 3600, *acts)
    got, prompt = heard(caller), [*cut(PROMPT), *[SILENCE] * 100]
    over = [to_bytes(from_bytes(one) - from_bytes(other)) for one, other in zip(got, prompt, strict=False)]
    at = over.index(cut(SPEECH)[0])
    assert 140 <= at < 150
    assert over[:at] == [SILENCE] * at
    assert over[at : at + 20] == cut(SPEECH)
    assert set(over[at + 20 :]) == {SILENCE}


@in_virtual_time
async def test_a_whisper_over_companded_audio_is_companded_as_well(loop: VirtualLoop) -> None:
    caller = on(loop, Encapsulation.RTP)
    talking = Talking(caller, Role.WHISPER)
    await caller.call(play, 1000, (200, talking.come), *says(talking, 300, SPEECH[:320]), (400, talking.go))
    encoding = caller.stage.wire.encoding
    got = [message[-160:] for message in caller.stage.transport.messages]
    prompt = [encoding.compand(frame) for frame in cut(PROMPT)[: len(got)]]
    (at,) = [n for n, (one, other) in enumerate(zip(got, prompt, strict=True)) if one != other]
    mixed = from_bytes(encoding.expand(prompt[at])) + from_bytes(SPEECH[:320])
    assert got[at] == encoding.compand(to_bytes(mixed))


@in_virtual_time
async def test_a_sum_that_is_too_loud_is_clipped(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.WHISPER)

    async def play_loudly(call: Call) -> None:
        await call.play(Clip(to_bytes(np.full(16_000, 30_000, dtype=np.int16))))

    loud = to_bytes(np.full(1600, 20_000, dtype=np.int16))
    await caller.call(play_loudly, 1000, (100, talking.come), *says(talking, 200, loud))
    assert {int(value) for value in caller.heard} == {30_000, 32_767}
    assert np.count_nonzero(caller.heard == 32_767) == 1600


@in_virtual_time
async def test_two_whisper_at_a_time(loop: VirtualLoop) -> None:
    caller = on(loop)
    one, other = Talking(caller, Role.WHISPER), Talking(caller, Role.WHISPER)
    acts = [
        (100, one.come),
        (100, other.come),
        *says(one, 200, numbered(1, 10)),
        *says(other, 200, numbered(100, 10)),
    ]

    await caller.call(wait, 1000, *acts, (500, one.go), (600, other.go))
    assert [int(from_bytes(frame)[0]) for frame in heard(caller) if frame != SILENCE] == list(range(101, 121, 2))


@in_virtual_time
async def test_who_only_listens_is_not_heard(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.LISTEN)
    await caller.call(play, 1000, (100, talking.come), *says(talking, 200, SPEECH))
    assert heard(caller) == cut(PROMPT)[: len(heard(caller))]


@pytest.mark.parametrize("left", [790, 610])
@in_virtual_time
async def test_who_left_while_another_talks_is_not_heard_afterwards(loop: VirtualLoop, left: int) -> None:
    # The one leaves after the other has barged in, or before that, with audio that is still to be heard.
    caller = on(loop)
    one, other = Talking(caller, Role.BARGE), Talking(caller, Role.BARGE)
    theirs = numbered(100, 20, 8)
    acts = [
        (100, one.come),
        (100, other.come),
        *says(one, 200, SPEECH),
        (605, one.say(SPEECH)),
        *says(other, 620, theirs),
        (left, one.go),
        (1100, other.go),
    ]
    await caller.call(wait, 2500, *acts)
    sounds = [frame for frame in heard(caller) if frame != SILENCE]
    at = sounds.index(cut(theirs)[0])
    assert set(sounds[: at - 1]) <= set(cut(SPEECH))
    assert sounds[at:] == cut(theirs)


@in_virtual_time
async def test_those_who_came_for_a_moment_leave_nothing_behind(loop: VirtualLoop) -> None:
    caller = on(loop)
    acts: list[tuple[float, Callable[[], None]]] = []
    for n in range(60):
        talking = Talking(caller, (Role.BARGE, Role.WHISPER)[n % 2])
        at = 100 + 20 * (n // 4)  # four within a frame
        acts += [(at, talking.come), (at, talking.say(SPEECH)), (at + 40 * (n % 3), talking.go)]
    playing: list[str] = []
    acts += [(1300, lambda: playing.append(caller.session.operator.playing))]
    await caller.call(wait, 2000, *acts)
    assert playing == [""]
    assert set(heard(caller)[70:]) == {SILENCE}


@in_virtual_time
async def test_who_only_listens_may_send_half_a_sample(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.LISTEN)
    await caller.call(play, 1000, (100, talking.come), (200, talking.say(bytes(321))))
    assert heard(caller) == cut(PROMPT)[: len(heard(caller))]


@pytest.mark.parametrize("role", [Role.WHISPER, Role.BARGE])
@in_virtual_time
async def test_nobody_is_heard_after_leaving_nor_after_the_end(loop: VirtualLoop, role: Role) -> None:
    caller = on(loop)
    talking = Talking(caller, role)
    acts = [(100, talking.come), *says(talking, 200, SPEECH[: 5 * FRAME_BYTES]), (300, talking.go)]
    await caller.call(play, 1000, *acts, (600, talking.say(SPEECH)))
    # What had come before is heard to its end, and nothing that comes later.
    got = [frame for frame in heard(caller) if frame not in (*cut(PROMPT), SILENCE)]
    assert len(got) == 5 + (role is Role.BARGE)  # where the prompt fades out
    again = on(loop)
    talking = Talking(again, role)
    await again.call(play, 400, (100, talking.come), *says(talking, 200, SPEECH))
    talking.say(SPEECH)()
    assert len(again.session.operator.listeners) == 0


@pytest.mark.parametrize(("held", "count"), [(300, 10), (700, 0)])
@in_virtual_time
async def test_a_whisper_that_the_far_end_holds_up_for_long_is_not_heard(
    loop: VirtualLoop, held: int, count: int
) -> None:
    caller = on(loop)
    talking, pacer = Talking(caller, Role.WHISPER), caller.stage.pacer
    acts = [(100, talking.come), (200, pacer.xoff), (200, talking.say(SPEECH[: 10 * FRAME_BYTES]))]
    await caller.call(wait, 2000, *acts, (210, talking.go), (210 + held, pacer.xon))
    assert [frame for frame in heard(caller) if frame != SILENCE] == cut(SPEECH)[:count]


@in_virtual_time
async def test_a_talk_that_was_cleared_goes_on_with_what_is_said_next(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.BARGE)

    acts = [(100, talking.come), *says(talking, 200, SPEECH), (400, caller.session.operator.clear)]
    await caller.call(wait, 1200, *acts)
    sounds = [frame for frame in heard(caller) if frame != SILENCE]
    assert sounds[0] == cut(SPEECH)[0]
    assert sounds[-1] == cut(SPEECH)[-1]
    assert len(sounds) < 20  # what waited when it was cleared is gone


@in_virtual_time
async def test_half_a_sample_is_refused(loop: VirtualLoop) -> None:
    caller = on(loop)
    talking = Talking(caller, Role.BARGE)
    faults: list[str] = []

    def say() -> None:
        with pytest.raises(ValueError, match="whole samples") as raised:
            talking.say(bytes(321))()
        faults.append(str(raised.value))

    await caller.call(play, 500, (100, talking.come), (200, say))
    assert faults == ["should be whole samples of 16 bits"]
