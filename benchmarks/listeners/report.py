"""The report of a run of listeners, which is printed as one line of JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.machine import SATURATED
from mediaserver.audio.pcm import PTIME

from .arrivals import Arrivals, Floats, measure_pacing, percentile
from .core_waits import CoreWaits

KEPT_UP = 0.99  # least share of the due frames that a server must send to count as keeping up
_SILENCE = 10 * PTIME  # seconds without a frame, at either end of the window, that make a stream a silent one


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run over its window of `seconds`. Other times are in milliseconds, memory in KiB."""

    streams: int  # of the first group, without those that hung up
    seconds: float
    payload: int  # bytes of the messages that were expected; 0 where the server sends none
    frames: int  # frames received by all listeners, newcomers included
    share: float  # received frames of the first group, as a share of the frames that were due
    us_per_frame: float  # microseconds of the server's CPU time per frame received, or said where listeners talk
    said: int  # frames that the first group said; 0 where it does not talk
    said_share: float  # the same as a share of the frames that were due
    unheard: int  # streams of which the server took nothing more
    server_core: float  # share of a core that the server used
    own_core: float  # share of a core that the listeners used; near 1, they read frames late themselves
    own_slowest: float  # the listeners' longest turn, by which they may have read frames late themselves
    deviation_p50: float  # |time between two frames - 20 ms|
    deviation_p99: float
    deviation_p999: float
    lateness_p99: float  # lateness of frames behind their stream's own schedule
    lateness_p999: float
    lateness_max: float
    excused_p99: float  # the same without the time for which the server, or the listeners, waited for a core
    excused_p999: float
    first_frame_p99: float  # time from the answer to the handshake to the first frame, in the first group
    drift_ppm: float  # drift of the worst stream in parts per million
    kib_per_stream: float  # resident memory by which the server grew, before the window
    closed: int  # streams that the server ended
    bad: int  # messages that were no frame of the expected size
    silent: int  # streams of the first group without a frame at the beginning, or at the end, of the window
    newcomers: int  # listeners that dialled during the window
    newcomers_silent: int  # newcomers that received no frame at all
    newcomers_first_frame_p99: float

    @property
    def trouble(self) -> str:
        """Why the figures are not those of a healthy server; "" if they are."""
        if self.own_core > SATURATED or (self.said and self._falls_short(self.said_share)):
            return "the listeners themselves were saturated"
        return self.failure

    @property
    def failure(self) -> str:
        """What the server did wrong; "" if nothing."""
        if self.closed or self.bad:
            return f"{self.closed} streams were closed, {self.bad} messages were wrong"
        if self.unheard or (self.said and self.server_core > SATURATED):
            return "the server did not take all that was said in time"
        if not self.payload:
            return ""
        if self.silent or self.newcomers_silent:
            return f"{self.silent} streams and {self.newcomers_silent} newcomers were silent"
        if self._falls_short(self.share):
            return f"the server sent {self.share:.1%} of what it had to"
        return ""

    def _falls_short(self, share: float) -> bool:
        """Whether a share of the due frames is too small; a frame of each stream may lie on the window's edge."""
        return share + PTIME / self.seconds < KEPT_UP

    def as_dict(self) -> dict[str, float]:
        """The figures by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Usage:
    """A time, and the CPU time that the server and the listeners had used until then, all in seconds.

    `said` is the number of frames that the first group had said until then.
    """

    at: float
    server: float
    own: float
    said: int


def summarise(
    arrivals: Arrivals, answered: Mapping[int, float], before: Usage, after: Usage, core_waits: CoreWaits
) -> dict[str, float]:
    """The figures of a window by the names of `Report`.

    `answered` has all streams that are told of; those answered during the window are newcomers.
    `core_waits` has the time for which the server and the listeners waited for a core.
    """
    seconds, cpu, said = after.at - before.at, after.server - before.server, after.said - before.said
    group = [stream for stream, at in answered.items() if at < before.at]
    streams, times = arrivals.between(before.at, after.at)
    chosen = np.isin(streams, group)
    streams, times, heard = streams[chosen], times[chosen], len(times)
    result = measure_pacing(streams, times, after.at)
    first_heard, last_heard = streams[times < before.at + _SILENCE], streams[times >= after.at - _SILENCE]
    firsts = arrivals.firsts()
    waits = {stream: firsts[stream] - at for stream, at in answered.items() if stream in firsts}
    first = _milliseconds([wait for stream, wait in waits.items() if answered[stream] < before.at])
    newcomers = _milliseconds([wait for stream, wait in waits.items() if answered[stream] >= before.at])
    due = len(group) * seconds / PTIME
    deviation, lateness = result.deviations * 1000, result.lateness * 1000
    waited = core_waits.between(result.due, result.due + result.lateness) * 1000
    excused = np.maximum(0.0, lateness - waited)
    return {
        "streams": len(group),
        "seconds": seconds,
        "frames": heard,
        "share": len(times) / due,
        "us_per_frame": cpu / (said or heard) * 1e6 if said or heard else float("nan"),
        "said": said,
        "said_share": said / due,
        "server_core": cpu / seconds,
        "own_core": (after.own - before.own) / seconds,
        "deviation_p50": percentile(deviation, 50),
        "deviation_p99": percentile(deviation, 99),
        "deviation_p999": percentile(deviation, 99.9),
        "lateness_p99": percentile(lateness, 99),
        "lateness_p999": percentile(lateness, 99.9),
        "lateness_max": percentile(lateness, 100),
        "excused_p99": percentile(excused, 99),
        "excused_p999": percentile(excused, 99.9),
        "first_frame_p99": percentile(first, 99),
        "drift_ppm": percentile(np.abs(result.drifts), 100),
        "silent": len(group) - len(np.intersect1d(first_heard, last_heard)),
        "newcomers": len(answered) - len(group),
        "newcomers_silent": len(answered) - len(group) - len(newcomers),
        "newcomers_first_frame_p99": percentile(newcomers, 99),
    }


def _milliseconds(seconds: list[float]) -> Floats:
    return np.array(seconds, np.float64) * 1000
