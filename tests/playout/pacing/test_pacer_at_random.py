"""A pacer under random events in random order: no frame is lost or doubled, and no stream goes quiet for good."""

import asyncio
import random
import struct
from collections.abc import Callable

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.wire import Wire
from tests.virtual import FakeTransport, VirtualLoop, VirtualStream, in_virtual_time

SEEDS = range(250)


def numbered(source: int, frame: int) -> bytes:
    return struct.pack("<HH", source, frame) * 80


class RandomStream:
    """One stream to which random things happen, the sources played on it, and other streams on its ticker."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.loop, self.rng = loop, rng
        self.lead = rng.choice([0, 1, 2, 3])
        self.settings = WireSettings(framing=Framing.PCM, lead=self.lead)
        self.stream = VirtualStream(loop, self.settings)
        self.others = [self.stream]
        self.transports = [self.stream.transport]
        self.lengths: list[int] = []
        self.played: list[asyncio.Future[PlaybackResult]] = []
        self.cancelled: set[int] = set()
        self.flushes = rng.random() < 0.4
        if self.flushes:
            self.stream.pacer.flush_peer = lambda: True
        self.started = False

    def random_event(self) -> None:
        """One random event."""
        pacer = self.stream.pacer
        events: list[Callable[[], object]] = [
            *[self.play] * 5,
            *[self.stall, self.stall_and_join, self.cancel, self.reconnect, self.start, self.leave_and_return],
            *[
                pacer.cancel_all,
                pacer.silence_all,
                pacer.release,
                pacer.xoff,
                pacer.xon,
                pacer.on_wire_changed,
                self.pause,
                self.hold,
            ],
            *[lambda: self.hold_up(10_000), lambda: self.hold_up(0)],
        ]
        self.rng.choice(events)()

    def play(self) -> None:
        self.lengths.append(length := self.rng.choice([0, 1, 1, 2, 3, 4, 5, 8, 20]))
        frames = [numbered(len(self.lengths), n) for n in range(1, length + 1)]
        seekable = Playlist([Clip(b"".join(frames))] if frames else [])
        source = seekable if self.rng.random() < 0.5 else Source(frames)
        self.played.append(self.stream.pacer.play(source))

    def cancel(self) -> None:
        waiting = [n for n, done in enumerate(self.played) if not done.done()]
        if waiting:
            self.cancelled.add(n := self.rng.choice(waiting))
            self.stream.pacer.cancel(self.played[n])

    def start(self) -> None:
        if not self.started:
            self.stream.pacer.start()
            self.started = True

    def pause(self) -> None:
        self.stream.pacer.pause()
        self.started = False

    def hold(self) -> None:
        if not self.started:
            self.stream.pacer.hold()

    def leave_and_return(self) -> None:
        self.stream.pacer.xoff()
        self.stream.pacer.xon()

    def hold_up(self, size: int) -> None:
        self.transports[-1].buffered = size

    def reconnect(self) -> None:
        self.pause()
        self.transports.append(transport := FakeTransport(self.loop))
        self.stream.pacer.reconnect(Wire(self.settings), transport)

    def stall(self) -> None:
        self.loop.stall(self.rng.choice([1, 5, 18, 25, 40, 60, 300]))

    def stall_and_join(self) -> None:
        """Another stream joins late in a turn of the loop: the ticker runs the ticks that are overdue first."""
        self.stall()
        self.others.append(other := VirtualStream(self.loop, self.settings, self.stream.ticker))
        other.pacer.start()

    async def settle(self) -> None:
        """End all that holds the stream up, and wait until all is played."""
        self.hold_up(0)
        self.stream.pacer.xon()
        self.start()
        self.stream.pacer.release()
        await asyncio.sleep(0.5 + 0.02 * (sum(self.lengths) + 50))

    @property
    def sent(self) -> list[bytes]:
        return [message[4:] for transport in self.transports for message in transport.messages]


@pytest.mark.parametrize("seed", SEEDS)
@in_virtual_time
async def test_whatever_happens_every_frame_is_sent_once_and_counted(seed: int, loop: VirtualLoop) -> None:
    rng = random.Random(seed)
    random_stream = RandomStream(loop, rng)
    for _ in range(rng.randrange(5, 40)):
        random_stream.random_event()
        await asyncio.sleep(rng.choice([0, 0, 0, 0.001, 0.003, 0.02, 0.04, 0.06]))
    await random_stream.settle()
    before = len(random_stream.sent)
    await asyncio.sleep(0.4)
    assert len(random_stream.sent) - before == 20  # it never goes quiet
    assert random_stream.stream.pacer.frames == len(random_stream.sent)
    assert random_stream.stream.ticker.frames == len(random_stream.sent) + sum(
        len(each.transport.sent) for each in random_stream.others[1:]
    )
    whole = [
        any(frame[80:]) for frame in random_stream.sent
    ]  # the others are silence, or the fade of 5 ms of a frame
    for n in range(len(whole)):
        if any(random_stream.sent[n]) and not whole[n]:
            assert whole[n - 1]
            number, last = struct.unpack("<HH", random_stream.sent[n - 1][:4])
            assert random_stream.sent[n] == fade_out(numbered(number, last + 1))
    sent = [struct.unpack("<HH", frame[:4]) for frame in random_stream.sent if any(frame[80:])]
    assert sent == sorted(sent)
    assert len(sent) == len(set(sent))
    for n, (length, done) in enumerate(zip(random_stream.lengths, random_stream.played, strict=True)):
        frames = [frame for source, frame in sent if source == n + 1]
        assert frames == list(range(1, len(frames) + 1))
        if not done.done():
            assert n in random_stream.cancelled
            continue
        result = done.result()
        if result.complete:
            assert (len(frames), result.frames) == (length, length)
        else:  # a far end that flushes its queue has not played the lead
            unplayed = random_stream.lead if random_stream.flushes else 0
            assert result.frames in (len(frames), max(0, len(frames) - unplayed))
