"""Listeners of a call under virtual time: what they hear, when, and that the call does not notice."""

import asyncio
import itertools

import pytest

from mediaserver.audio.pcm import FRAME_BYTES, SILENCE, from_bytes, to_bytes
from mediaserver.call import Call, End, EndReason
from mediaserver.call.listening.listen_in import DELAY, MAX_BACKLOG, ListenIn, Side
from mediaserver.call.listening.talker import Role
from mediaserver.errors import RefusedError
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import PCM, Encapsulation, Framing, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


def numbered(first: int, frames: int) -> bytes:
    return b"".join(n.to_bytes(2, "little") * 160 for n in range(first, first + frames))


PROMPT, SPEECH = numbered(1, 1000), numbered(10_001, 1000)


async def play(call: Call) -> None:
    await call.play(Playlist([Clip(PROMPT)]))


async def heard_by(listener: ListenIn, into: list[tuple[float, bytes]], loop: VirtualLoop) -> None:
    while pcm := await listener.read():
        into.append((loop.time(), pcm))


def numbers(pcm: bytes) -> list[int]:
    """The number of each frame of 320 bytes."""
    return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), FRAME_BYTES)]


class Listening:
    """A listener that comes at some time of a call."""

    def __init__(self, caller: Caller, side: Side) -> None:
        self.caller, self.side = caller, side
        self.heard: list[tuple[float, bytes]] = []
        self.reading: asyncio.Task[None] | None = None
        self.listener: ListenIn | None = None

    def start(self) -> None:
        self.listener = self.caller.session.operator.listeners.start(self.side, Role.LISTEN, "me")
        self.reading = asyncio.create_task(heard_by(self.listener, self.heard, self.caller.loop))

    def stop(self) -> None:
        assert self.listener is not None
        self.caller.session.operator.listeners.stop(self.listener)

    async def pcm(self) -> bytes:
        """All that was heard, once the listening is over."""
        assert self.reading is not None
        await self.reading
        return b"".join(pcm for _, pcm in self.heard)


@pytest.mark.parametrize("lead", [0, 3])
@in_virtual_time
async def test_both_directions_are_heard_side_by_side(loop: VirtualLoop, lead: int) -> None:
    caller = Caller(loop, library_of({}), WireSettings(framing=Framing.PCM, lead=lead))
    caller.say(SPEECH)
    both, us, him = (Listening(caller, side) for side in (Side.BOTH, Side.US, Side.CALLER))
    await caller.call(play, 3000, *((1000, each.start) for each in (both, us, him)))
    stereo = from_bytes(await both.pcm()).reshape(-1, 2)
    left, right = numbers(to_bytes(stereo[:, 0])), numbers(to_bytes(stereo[:, 1]))
    assert right[:lead] == [0] * lead  # what the far end plays then was sent before
    begun, spoken = right[lead], left[0]
    assert begun in (51 + lead, 52 + lead)
    assert right[lead : lead + 90] == list(range(begun, begun + 90))
    assert left[:90] == list(range(spoken, spoken + 90))
    # Our frame `n` is played, and the caller's is spoken, in the 20 ms from n * 20 ms on.
    assert abs((right[50] - 1) - (left[50] - 10_001)) <= 1
    mono = numbers(await us.pcm())
    assert mono[lead : lead + 90] == right[lead : lead + 90]
    assert numbers(await him.pcm())[:90] == left[:90]


@in_virtual_time
async def test_what_is_heard_is_a_little_late_and_comes_steadily(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    listening = Listening(caller, Side.US)
    await caller.call(play, 3000, (1000, listening.start))
    await listening.pcm()
    times = [at for at, _ in listening.heard[:-3]]
    assert times[0] == pytest.approx(1.01 + DELAY + 0.06, abs=0.021)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert max(gaps) == pytest.approx(0.06, abs=0.001)
    assert {len(pcm) for _, pcm in listening.heard[:-3]} == {3 * FRAME_BYTES}


@in_virtual_time
async def test_companded_audio_is_heard_as_the_far_end_hears_it(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}), WireSettings(encapsulation=Encapsulation.RTP))
    listening = Listening(caller, Side.US)
    await caller.call(play, 1000, (500, listening.start))
    got = await listening.pcm()
    encoding = caller.stage.wire.encoding
    exact = {encoding.expand(encoding.compand(PROMPT[at : at + FRAME_BYTES])) for at in range(0, 20_000, 320)}
    frames = [got[at : at + FRAME_BYTES] for at in range(0, len(got), FRAME_BYTES)]
    assert len(frames) >= 20
    assert set(frames) - {SILENCE} <= exact


@in_virtual_time
async def test_the_call_does_nothing_for_listeners_once_they_have_gone(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    one, other = Listening(caller, Side.BOTH), Listening(caller, Side.BOTH)
    counts: list[tuple[int, bool]] = []

    def count() -> None:
        counts.append((len(caller.session.operator.listeners), caller.session.receiver.listening))

    def leave() -> None:
        one.stop()
        one.stop()
        count()

    acts = [(100, count), (200, one.start), (300, other.start), (400, count), (500, leave)]
    await caller.call(play, 1000, *acts, (600, other.stop), (700, count))
    assert counts == [(0, False), (2, True), (1, True), (0, False)]
    assert numbers(bytes(320) + await other.pcm())[-1] <= 30
    facts = {"by": "me", "side": "both", "role": "listen"}
    events = [event for event in caller.backend.events if event[0].startswith("listening")]
    ended = facts | {"seconds": 0.3, "dropped_s": 0.0}
    assert events == [*[("listening.started", facts)] * 2, *[("listening.ended", ended)] * 2]


@in_virtual_time
async def test_the_end_of_the_stream_ends_the_listening(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    listening = Listening(caller, Side.US)
    session = caller.session
    await caller.call(
        play, 1000, (200, listening.start), (500, lambda: session.finish(End(EndReason.HUNG_UP, 1000)))
    )
    got = numbers(await listening.pcm())
    first, last = got[0], 25
    assert got[: last - first + 1] == list(range(first, last + 1))  # up to the last frame that was sent
    assert [kind for kind, _ in caller.backend.events] == ["listening.started", "listening.ended"]
    with pytest.raises(RefusedError, match="the stream has ended"):
        session.operator.listeners.start(Side.US, Role.LISTEN, "me")


@in_virtual_time
async def test_a_listener_of_a_one_way_stream_hears_silence_and_no_problem_is_told(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    caller.quiet = True
    listening = Listening(caller, Side.CALLER)

    def hello() -> None:
        caller.session.receive_text("a message, so that the peer is watched")

    await caller.call(play, 12_000, (100, hello), (200, listening.start))
    got = await listening.pcm()
    assert len(got) >= 580 * FRAME_BYTES
    assert not any(got)
    assert caller.session.inbound_problems == []
    assert not caller.backend.events_of("stream.inbound")


@pytest.mark.parametrize("early", [True, False])
@in_virtual_time
async def test_a_handler_that_hears_nothing_is_told_of_beside_a_listener(loop: VirtualLoop, early: bool) -> None:
    caller = Caller(loop, library_of({}))
    caller.quiet = True
    listening = Listening(caller, Side.CALLER)

    async def listen(call: Call) -> None:
        if early:
            await asyncio.sleep(0.5)
        with call.listen_pcm(lambda pcm: None):
            await call.silence()

    await caller.call(listen, 8000, (200, listening.start))
    assert [data["problem"] for data in caller.backend.events_of("stream.inbound")] == ["no-audio"]
    await listening.pcm()


@in_virtual_time
async def test_a_slow_reader_loses_the_oldest_of_both_directions_alike(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    caller.say(SPEECH)
    listeners = caller.session.operator.listeners
    found: list[ListenIn] = []

    async def play_with_music(call: Call) -> None:
        await call.play(Playlist(Repeated([Clip(PROMPT)], None)))

    def start() -> None:
        found.append(listeners.start(Side.BOTH, Role.LISTEN, "me"))

    await caller.call(play_with_music, 10_000, (1000, start))
    (listener,) = found
    assert listener.dropped == pytest.approx((9 - 2) * 16_000, abs=2 * FRAME_BYTES)
    pcm = b""
    while part := await listener.read():
        assert len(part) <= 2 * 10 * FRAME_BYTES
        pcm += part
    assert len(pcm) <= 2 * (MAX_BACKLOG + 2 * FRAME_BYTES)
    stereo = from_bytes(pcm).reshape(-1, 2)[:12_000]
    left, right = numbers(to_bytes(stereo[:, 0])), numbers(to_bytes(stereo[:, 1]))
    assert left == list(range(left[0], left[0] + len(left)))
    assert right == list(range(right[0], right[0] + len(right)))
    assert abs((right[0] - 1) - (left[0] - 10_001)) <= 1
    (ended,) = caller.backend.events_of("listening.ended")
    assert ended["dropped_s"] == round(listener.dropped / 16_000, 3)
    assert ended["dropped_s"] == pytest.approx(7, abs=0.05)


class Direct:
    """A listener of our side without a call: our frame `n` is sent at the time of the frame `n`."""

    now = 0.0

    def __init__(self) -> None:
        self.listener = ListenIn(Side.US, lambda: self.now, lambda: 0)

    def send(self, first: int, frames: int) -> None:
        for n in range(first, first + frames):
            self.now = n * 0.02
            self.listener.on_frame_sent(PCM, PCM.encode(numbered(n, 1)))

    async def rest(self) -> list[int]:
        """The numbers of all frames that are still heard, 0 for silence."""
        self.listener.close()
        pcm = b""
        while part := await self.listener.read():
            pcm += part
        return numbers(pcm)


async def test_what_the_far_end_drops_unplayed_is_not_heard() -> None:
    direct = Direct()
    direct.send(1, 8)
    direct.listener.on_frames_flushed(3)
    assert await direct.rest() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("late", "dropped"), [(0.0, 0), (0.0199, 0), (0.02, 1), (0.023, 1), (0.039, 1), (0.04, 2)]
)
async def test_what_is_too_much_for_a_slow_reader_is_dropped_in_whole_frames(late: float, dropped: int) -> None:
    direct = Direct()
    direct.send(1, 100)  # two seconds
    direct.now += late
    direct.listener.on_frame_sent(PCM, PCM.encode(numbered(101, 1)))
    assert direct.listener.dropped == dropped * FRAME_BYTES
    assert await direct.rest() == list(range(1 + dropped, 102))
