"""A pacer under all that may happen to a stream, in any order: nothing is lost, doubled, or quiet for good."""

import asyncio
import random
import struct
from collections.abc import Callable

import pytest

from mediaserver.playout.sources.source import Clip, PlaybackResult, Playlist, Source
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.wire import Wire
from tests.virtual import Line, Stage, VirtualLoop, in_virtual_time

SEEDS = range(250)


def numbered(source: int, frame: int) -> bytes:
    return struct.pack("<HH", source, frame) * 80


class Stream:
    """One stream, what is played on it, and others on the same ticker."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.loop, self.rng = loop, rng
        self.lead = rng.choice([0, 1, 2, 3])
        self.settings = WireSettings(framing=Framing.PCM, lead=self.lead)
        self.stage = Stage(loop, self.settings)
        self.others = [self.stage]
        self.lines = [self.stage.line]
        self.lengths: list[int] = []
        self.played: list[asyncio.Future[PlaybackResult]] = []
        self.dropped: set[int] = set()
        self.flushes = rng.random() < 0.4
        if self.flushes:
            self.stage.pacer.flush_peer = lambda: True
        self.started = False

    def act(self) -> None:
        """Something happens."""
        pacer = self.stage.pacer
        acts: list[Callable[[], object]] = [
            *[self.play] * 5,
            *[self.stall, self.stall_and_join, self.drop, self.reconnect, self.start, self.leave_and_return],
            *[
                pacer.cancel_all,
                pacer.release,
                pacer.xoff,
                pacer.xon,
                pacer.on_wire_changed,
                self.pause,
                self.hold,
            ],
            *[lambda: self.hold_up(10_000), lambda: self.hold_up(0)],
        ]
        self.rng.choice(acts)()

    def play(self) -> None:
        self.lengths.append(length := self.rng.choice([0, 1, 1, 2, 3, 4, 5, 8, 20]))
        frames = [numbered(len(self.lengths), n) for n in range(1, length + 1)]
        seekable = Playlist([Clip(b"".join(frames))] if frames else [])
        source = seekable if self.rng.random() < 0.5 else Source(frames)
        self.played.append(self.stage.pacer.play(source))

    def drop(self) -> None:
        waiting = [n for n, done in enumerate(self.played) if not done.done()]
        if waiting:
            self.dropped.add(n := self.rng.choice(waiting))
            self.stage.pacer.cancel(self.played[n])

    def start(self) -> None:
        if not self.started:
            self.stage.pacer.start()
            self.started = True

    def pause(self) -> None:
        self.stage.pacer.pause()
        self.started = False

    def hold(self) -> None:
        if not self.started:
            self.stage.pacer.hold()

    def leave_and_return(self) -> None:
        self.stage.pacer.xoff()
        self.stage.pacer.xon()

    def hold_up(self, size: int) -> None:
        self.lines[-1].held = size

    def reconnect(self) -> None:
        self.pause()
        self.lines.append(line := Line(self.loop))
        self.stage.pacer.reconnect(Wire(self.settings), line)

    def stall(self) -> None:
        self.loop.stall(self.rng.choice([1, 5, 18, 25, 40, 60, 300]))

    def stall_and_join(self) -> None:
        """Another stream joins late in a turn: the ticker runs what is overdue first."""
        self.stall()
        self.others.append(other := Stage(self.loop, self.settings, self.stage.ticker))
        other.pacer.start()

    async def settle(self) -> None:
        """All that hinders it is over, and all is played."""
        self.hold_up(0)
        self.stage.pacer.xon()
        self.start()
        self.stage.pacer.release()
        await asyncio.sleep(0.5 + 0.02 * (sum(self.lengths) + 50))

    @property
    def sent(self) -> list[bytes]:
        return [message[4:] for line in self.lines for message in line.messages]


@pytest.mark.parametrize("seed", SEEDS)
@in_virtual_time
async def test_whatever_happens_every_frame_is_sent_once_and_counted(seed: int, loop: VirtualLoop) -> None:
    rng = random.Random(seed)
    stream = Stream(loop, rng)
    for _ in range(rng.randrange(5, 40)):
        stream.act()
        await asyncio.sleep(rng.choice([0, 0, 0, 0.001, 0.003, 0.02, 0.04, 0.06]))
    await stream.settle()
    before = len(stream.sent)
    await asyncio.sleep(0.4)
    assert len(stream.sent) - before == 20  # it never goes quiet
    assert stream.stage.pacer.frames == len(stream.sent)
    assert stream.stage.ticker.frames == len(stream.sent) + sum(len(each.line.sent) for each in stream.others[1:])
    heard = [struct.unpack("<HH", frame[:4]) for frame in stream.sent if any(frame)]
    assert heard == sorted(heard)
    assert len(heard) == len(set(heard))
    for n, (length, done) in enumerate(zip(stream.lengths, stream.played, strict=True)):
        frames = [frame for source, frame in heard if source == n + 1]
        assert frames == list(range(1, len(frames) + 1))
        if not done.done():
            assert n in stream.dropped
            continue
        told = done.result()
        if told.complete:
            assert (len(frames), told.frames) == (length, length)
        else:  # what a far end has forgotten was not heard
            unheard = stream.lead if stream.flushes else 0
            assert told.frames in (len(frames), max(0, len(frames) - unheard))
