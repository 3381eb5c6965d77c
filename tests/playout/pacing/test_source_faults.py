"""Sources, observers and transports that fail: each costs its own source or stream, and the clock goes on."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.sources.source import PlaybackResult, Source
from mediaserver.wire.encapsulation import Encoding
from tests.playout.pacing.frames import PCM, frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_a_source_that_fails_raises_in_its_future_and_is_followed_by_silence(loop: VirtualLoop) -> None:
    def broken() -> Iterator[bytes]:
        yield frame(1)
        raise KeyError("no such frame")

    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(Source(broken()))
    await stream.until(65)
    assert sent_frames(stream) == [frame(1), None, None, None]
    with pytest.raises(KeyError):
        await done


class EagerlyBroken(Source):
    """Cannot even begin."""

    def __init__(self) -> None:
        super().__init__(())

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        raise LookupError("nothing to play")


def breaking_after(*numbers: int) -> Source:
    def give() -> Iterator[bytes]:
        yield from frames(*numbers)
        raise KeyError("no such frame")

    return Source(give())


@pytest.mark.parametrize("queued", [EagerlyBroken, source, breaking_after])
@in_virtual_time
async def test_the_clock_goes_on_whatever_fails_one_after_another(
    queued: Callable[[], Source], loop: VirtualLoop
) -> None:
    stream = VirtualStream(loop, PCM)
    other = VirtualStream(loop, PCM, stream.ticker)
    stream.pacer.start()
    other.pacer.start()
    broken = stream.pacer.play(breaking_after(1, 2))
    after = stream.pacer.play(queued())
    last = stream.pacer.play(source(3))
    await stream.until(500)
    assert sent_frames(stream)[:4] == [*frames(1, 2, 3), None]
    assert len(stream.transport.sent) == len(other.transport.sent) == 25
    assert stream.ticker.frames == 50
    with pytest.raises(KeyError):
        await broken
    if queued is source:
        assert await after == PlaybackResult(0, True)
    else:
        with pytest.raises(LookupError):
            await after
    assert await last == PlaybackResult(1, True)


@in_virtual_time
async def test_a_source_that_cannot_begin_raises_in_its_future(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    await stream.until(30)
    with pytest.raises(LookupError):
        await stream.pacer.play(EagerlyBroken())
    await stream.until(95)
    assert sent_frames(stream) == [None] * 5


class Raising(Source):
    """Raises what futures and coroutines do not take, at once or after a frame."""

    def __init__(self, error: type[BaseException], at_once: bool) -> None:
        super().__init__(self._give())
        self._error, self._at_once = error, at_once

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        if self._at_once:
            raise self._error
        return super().iter_frames(encoding, start)

    def _give(self) -> Iterator[bytes]:
        yield frame(1)
        raise self._error


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("error", [asyncio.CancelledError, StopIteration, GeneratorExit])
@in_virtual_time
async def test_nothing_that_a_source_raises_silences_its_stream_or_its_neighbours(
    error: type[BaseException], at_once: bool, late: bool, loop: VirtualLoop
) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    stream, neighbour = VirtualStream(loop, PCM, ticker), VirtualStream(loop, PCM, ticker)
    stream.pacer.start()
    neighbour.pacer.start()
    await stream.until(50 if late else 0)
    with pytest.raises(RuntimeError):
        await stream.pacer.play(Raising(error, at_once))
    await stream.pacer.play(source(2))
    await stream.until(1010)
    assert len(stream.transport.sent) == len(neighbour.transport.sent) == stream.pacer.frames == 50
    assert ticker.frames == 100
    assert frame(2) in sent_frames(stream)


@pytest.mark.parametrize("late", [False, True])
@in_virtual_time
async def test_an_observer_that_fails_costs_its_own_stream_and_is_reported(late: bool, loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    stream, neighbour = VirtualStream(loop, PCM, ticker), VirtualStream(loop, PCM, ticker)
    raised: list[object] = []
    loop.set_exception_handler(lambda loop, context: raised.append(context["exception"]))

    def broken(encoding: Encoding, frame: bytes) -> None:
        if not late or stream.transport.sent:
            raise LookupError("no such observer")

    with stream.pacer.observe(broken):
        stream.pacer.start()
        neighbour.pacer.start()
        done = stream.pacer.play(source(1, 2, 3))
        await stream.until(500)
        assert sent_frames(stream) == (frames(1) if late else [])
        assert len(neighbour.transport.sent) == 25
        assert [type(each) for each in raised] == [LookupError]
        assert ticker.streams == 1
        with pytest.raises(LookupError):
            await done


@in_virtual_time
async def test_a_frame_of_the_wrong_size_fails_its_source_not_the_stream(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(Source([frame(1), bytes(100)]))
    await stream.until(65)
    assert sent_frames(stream) == [frame(1), None, None, None]
    with pytest.raises(ValueError, match="a frame of 100 bytes, not 320"):
        await done


@in_virtual_time
async def test_one_streams_fault_does_not_reach_another_in_the_same_slot(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    gone, well = VirtualStream(loop, PCM, ticker), VirtualStream(loop, PCM, ticker)
    gone.pacer.start()
    well.pacer.start()
    gone.transport.closing = True
    await well.until(65)
    assert well.transport.times == [20, 40, 60]
    assert gone.transport.sent == []
    assert ticker.streams == 1  # the one whose transport is gone has left
