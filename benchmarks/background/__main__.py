"""Measures what a frame costs on a stream with background sound: many streams in a process that sends nothing.

    python -m benchmarks.background [--streams 200] [--rounds 7] [--write]

Streams repeat a prompt, or play nothing, on a ticker whose clock is moved by hand. Messages are kept and not sent,
so that the table has only the CPU time that the server itself adds to a frame: the system call that sends a
message costs 4 µs more. All cases take turns, round after round, and the table shows medians of the CPU time.
--write puts the table into benchmarks/README.md.
"""

import argparse
import asyncio
import datetime
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.machine import describe
from benchmarks.tables import Results, write_section
from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.ticker import PTIME_NS, Ticker
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Clip, Source
from mediaserver.wire.encapsulation import Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.wire import Wire

_README = Path(__file__).resolve().parent.parent / "README.md"
_WIRES = {
    "audiosocket/pcm": WireSettings(framing=Framing.PCM),
    "audiosocket/message": WireSettings(framing=Framing.MESSAGE),
    "rtp/l16": WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16),
    "rtp/pcmu": WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.PCMU),
    "rtp/pcma": WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.PCMA),
}
_PTIMES = 50  # ticks of 20 ms in one measurement; 50 more come before it, and are not measured
_RNG = np.random.default_rng(1)


def _noise(seconds: int, peak: int) -> Clip:
    return Clip(to_bytes(_RNG.integers(-peak, peak, seconds * 8000).astype(np.int16)))


_SPEECH, _MUSIC = _noise(7, 12_000), _noise(10, 3000)


def _pushed() -> PlayoutBuffer:
    """Speech as a voice bot pushes it: more frames than one measurement plays."""
    buffer = PlayoutBuffer()
    buffer.push_audio(_SPEECH.pcm)
    return buffer


_PLAYED: dict[str, Callable[[], Source | None]] = {
    "nothing": lambda: None,
    "a prompt": lambda: Playlist(Repeated([_SPEECH], None)),
    "live sound": _pushed,
}


class _Alarm:
    """A stand-in for the ticker's alarm, which never goes off, because the benchmark ticks by itself."""

    def arm(self, at: int) -> None:
        """Nothing to do: the clock is moved by hand."""

    def disarm(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class _Transport:
    """A stand-in for a transport, which sends nothing, and keeps the last message only."""

    def __init__(self) -> None:
        sent: deque[bytes] = deque(maxlen=1)
        self.write = sent.append
        self.get_write_buffer_size = [].__len__

    def is_closing(self) -> bool:
        return False


async def _cost(wire: WireSettings, played: str, background: bool, streams: int) -> float:
    """The microseconds of CPU time that one frame takes."""
    now = 0
    ticker = Ticker(lambda wake: _Alarm(), lambda: now)
    for _ in range(streams):
        pacer = Pacer(ticker, Wire(wire), _Transport())
        if background:
            pacer.set_background(Background(_MUSIC, 10.0))
        if (source := _PLAYED[played]()) is not None:
            pacer.play(source)
        pacer.start()

    def tick(times: int) -> None:
        nonlocal now
        for _ in range(times):
            now += PTIME_NS
            ticker.tick()

    tick(2)
    await asyncio.sleep(0)
    tick(_PTIMES)
    frames, began = ticker.frames, time.process_time()
    tick(_PTIMES)
    return (time.process_time() - began) / (ticker.frames - frames) * 1e6


async def measure(streams: int, rounds: int) -> Results:
    """The table: a row for each kind of sound that is played, a column for each wire format."""
    cases = [(played, background) for played in _PLAYED for background in (False, True)]
    costs: dict[tuple[str, bool, str], list[float]] = {}
    for _ in range(rounds):
        for played, background in cases:
            for name, wire in _WIRES.items():
                costs.setdefault((played, background, name), []).append(
                    await _cost(wire, played, background, streams)
                )
    rows = [
        [
            f"{played}, over a background" if background else played,
            *(f"{statistics.median(costs[played, background, name]):.2f}" for name in _WIRES),
        ]
        for played, background in cases
    ]
    title = f"µs a frame beside sending it, {streams} streams, medians of {rounds} rounds"
    return Results(title, ["played", *_WIRES], rows)


def main() -> None:
    """Measure, print the table, and write it if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="the table into benchmarks/README.md")
    options = parser.parse_args()
    results = asyncio.run(measure(options.streams, options.rounds))
    Console().print(results.on_terminal())
    if options.write:
        when = datetime.datetime.now(datetime.UTC).date()
        write_section(_README, "background", f"{describe()}; {when}.\n\n{results.as_markdown()}")


if __name__ == "__main__":
    main()
