"""What streams and prompts take of the memory."""

from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.machine import resident_bytes
from benchmarks.servers import MINUTE, media_server, playing_server
from benchmarks.sounds import write_tone
from mediaserver.audio.pcm import FRAME_BYTES, PTIME
from mediaserver.wire import websocket

from .outcome import Outcome, troubles

_STREAM = 18.0  # KiB
_OVER_WIRE = 1.2
_PLAN = Plan(streams=1000, seconds=2.0)
_SHORT, _LONG = 60, 1800  # seconds of a prompt
_ON_THE_WIRE = len(websocket.binary(bytes(FRAME_BYTES))) / PTIME  # bytes in a second
_MB = 1_000_000


def memory(folder: Path) -> Outcome:
    """Resident memory per playing stream, and of a long prompt beside its bytes on the wire."""
    with playing_server(folder) as server:
        report = listen(server.port, "/minute", server.pid, _PLAN)
    resident, counted = zip(*(_prompt(folder, seconds) for seconds in (_SHORT, _LONG)), strict=True)
    wire = (_LONG - _SHORT) * _ON_THE_WIRE
    grown, cached = ((long - short) / wire for short, long in (resident, counted))
    found = f"{report.kib_per_stream:.1f} KiB a stream; a prompt {grown:.2f} x its bytes on the wire"
    holds = report.kib_per_stream < _STREAM and grown <= _OVER_WIRE and not troubles(report)
    held_to = f"under {_STREAM:g} KiB, at most {_OVER_WIRE:g} x"
    note = f"memory, the server's own count of its prompts: {cached:.2f} x; {wire / _MB:.0f} MB on the wire"
    return Outcome(f"{_PLAN.streams} streams; a long prompt", found, held_to, holds, (note, *troubles(report)))


def _prompt(folder: Path, seconds: float) -> tuple[float, float]:
    """Resident bytes with one prompt in memory, and those that the server counts for it."""
    write_tone(folder / "prompts" / "minute.wav", seconds)
    with media_server(folder, MINUTE) as server:
        return resident_bytes(server.pid), server.metrics()["mediaserver_cache_bytes"]
