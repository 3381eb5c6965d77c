"""What a frame costs, counted rather than timed: calls and bytecode instructions, under a clock of our own.

One more stream is one more turn of one loop and one call, whatever it plays: all else runs in C, or once for all
streams of a slot. Counts are the same at every run; from one Python to the next they differ a little.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import pytest

from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.ticker import PTIME_NS, Ticker
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.masking import MaskedTransport
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.wire import Wire

WIRES = {
    "audiosocket, pcm": WireSettings(framing=Framing.PCM),
    "audiosocket, message": WireSettings(framing=Framing.MESSAGE),
    "sln": WireSettings(encapsulation=Encapsulation.SLN),
    "rtp": WireSettings(encapsulation=Encapsulation.RTP),
}
PTIMES = 200
CHECKS = 0.1  # of a look at a stream's send buffer, per frame: there is one every ten frames
PROMPT = Clip(bytes(range(256)) * 5 * 80)  # 320 frames, so that it ends and begins again meanwhile


class ManualAlarm:
    """An alarm that the test sets off by calling `wake`."""

    def arm(self, at: int) -> None:
        """Nothing: the test sets it off anyway."""

    def disarm(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class RecordingTransport:
    """A transport that keeps the last messages; to write one is a call of C, as uvloop's is."""

    def __init__(self, keep: int) -> None:
        self.sent: deque[bytes] = deque(maxlen=keep)
        self.write = self.sent.append
        self.get_write_buffer_size = [].__len__
        self.is_closing = False.__bool__


class ManyStreams:
    """Streams that all play one prompt for ever, on a ticker whose clock the test moves."""

    def __init__(self, wire: WireSettings, streams: int, keep: int = 1, *, dialled: bool = False) -> None:
        self.now = 0
        self._wake: Callable[[], None] = lambda: None
        self.ticker = Ticker(self._alarm, lambda: self.now, writes=HeldWrites())
        self.transports = [RecordingTransport(keep) for _ in range(streams)]
        for transport in self.transports:
            masked = MaskedTransport(cast("asyncio.WriteTransport", transport))
            pacer = Pacer(self.ticker, Wire(wire, dialled=dialled), masked if dialled else transport)
            pacer.play(Playlist(Repeated([PROMPT], None)))
            pacer.start()

    def _alarm(self, wake: Callable[[], None]) -> ManualAlarm:
        self._wake = wake
        return ManualAlarm()

    def play(self, ptimes: int) -> None:
        """Let so many ptimes pass."""
        for _ in range(ptimes):
            self.now += PTIME_NS
            self._wake()

    async def begin(self) -> None:
        """Until all streams are under way, past their first frames."""
        self.play(2)
        await asyncio.sleep(0)
        self.play(2)


class Counts:
    """Calls of Python functions, calls of C functions, and bytecode instructions."""

    def __init__(self) -> None:
        self.python = self.c = self.instructions = 0

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        self.python += event == "call"
        self.c += event == "c_call"

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self.instructions += event == "opcode"
        return self.trace


async def counted(wire: WireSettings, streams: int, *, dialled: bool = False) -> Counts:
    """What it takes to play for a while."""
    many, counts = ManyStreams(wire, streams, dialled=dialled), Counts()
    await many.begin()
    tracer, profiler = sys.gettrace(), sys.getprofile()
    try:
        sys.settrace(Counts().trace)  # CPython 3.12 tells of no instruction the first time that code is traced
        many.play(1)
        sys.settrace(tracer)
        before = many.ticker.frames
        sys.setprofile(counts.profile)
        many.play(PTIMES)
        sys.setprofile(profiler)
        sys.settrace(counts.trace)
        many.play(PTIMES)
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)
    assert many.ticker.frames - before == 2 * PTIMES * streams
    return counts


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_one_more_stream_costs_one_call_a_frame(wire: WireSettings) -> None:
    few, more = await counted(wire, 10), await counted(wire, 90)
    frames = PTIMES * 80
    assert (more.python - few.python) / frames <= 2 * CHECKS + 0.1  # and where a prompt ends and begins again
    assert (more.c - few.c) / frames <= 1 + CHECKS + 0.1  # the write, and the check of the send buffer
    assert (more.instructions - few.instructions) / frames <= 11 + 40 * CHECKS + 1


async def test_one_more_dialled_stream_costs_few_calls_a_frame() -> None:
    """One of Python, which refuses the frame if the connection is closing, and two of C."""
    wire = WIRES["sln"]
    few, more = await counted(wire, 20, dialled=True), await counted(wire, 90, dialled=True)
    frames = PTIMES * 70
    assert (more.python - few.python) / frames <= 1 + 4 * CHECKS + 0.1
    assert (more.c - few.c) / frames <= 2 + CHECKS + 0.1
    assert (more.instructions - few.instructions) / frames <= 35 + 80 * CHECKS


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_tick_costs_little_besides_its_frames(wire: WireSettings) -> None:
    counts = await counted(wire, 1)
    assert counts.python / PTIMES <= 11
    assert counts.instructions / PTIMES <= 800  # with one stream it passes 19 empty slots, and looks for the next


@pytest.mark.parametrize("name", [name for name in WIRES if name != "rtp"])
async def test_a_cached_frame_is_sent_as_it_is(name: str) -> None:
    many = ManyStreams(WIRES[name], 3, keep=PTIMES)
    await many.begin()
    many.play(2 * PTIMES)
    messages = {id(message) for encoded in PROMPT._encoded.values() for message in encoded.frames}
    for transport in many.transports:
        assert len(transport.sent) == PTIMES
        assert {id(message) for message in transport.sent} <= messages  # not one of them is a copy


async def test_frames_that_were_sent_leave_no_objects_behind() -> None:
    many = ManyStreams(WIRES["audiosocket, pcm"], 50)
    await many.begin()
    many.play(2 * PTIMES)
    before = sys.getallocatedblocks()
    many.play(10 * PTIMES)
    assert sys.getallocatedblocks() - before < 100  # of 100 000 frames
