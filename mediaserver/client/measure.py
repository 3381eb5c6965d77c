"""Measures a paced stream from the arrival times of its frames: jitter, lateness and clock drift.

The functions are pure, and read no clock. Arrival times are in seconds, in the order of arrival.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mediaserver.audio.pcm import PTIME, Signal

MAX_DRIFT_PPM = 10_000.0  # the drift (one per cent) above which a stream counts as not paced at 20 ms
MIN_DRIFT_FRAMES = 100  # the minimum number of frames with which drift can be told from jitter
_BURST = 0.010  # the seconds after the first frame within which frames count as sent together with the first
_MAX_LEAD = 10  # the maximum number of frames that count as sent together with the first frame


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, 99th percentile and maximum of some durations, in milliseconds."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements that a simulated peer made of the audio it received on one call."""

    frames: int
    duration_s: float
    first_frame_ms: float | None  # time from the handshake's reply (TCP: the connection) to the first frame
    interarrival_ms: Spread | None
    lateness_ms: Spread | None  # delay of frames against a schedule of one frame every 20 ms after a first burst
    drift_ppm: float | None  # drift of the server's clock against the simulator's; positive: the server is slow
    bad_frames: int
    encapsulation: str | None
    framing: str | None
    close_code: int | None
    bad_reason: str = ""  # what is wrong with the first bad frame; left out of the JSON
    unsent: str = ""  # a line on the keys or sound that were not sent; left out of the JSON

    @property
    def problems(self) -> list[str]:
        """The problems of the stream, one line for each."""
        found = []
        if not self.frames:
            found.append("no audio came")
        if self.bad_frames:
            found.append(f"{self.bad_frames} messages were not one 20 ms frame: {self.bad_reason}")
        if self.frames >= MIN_DRIFT_FRAMES and abs(self.drift_ppm or 0.0) > MAX_DRIFT_PPM:
            percent = (self.drift_ppm or 0.0) / 10_000
            found.append(
                f"frames do not come every 20 ms: the drift is {percent:.1f} %."
                " The server or this machine may be too busy"
            )
        if self.close_code not in (None, 1000, 1001, 1005):
            found.append(f"the stream was closed with {self.close_code}")
        if self.unsent:
            found.append(self.unsent)
        return found

    def as_dict(self) -> dict[str, Any]:
        """The report as `call --json` prints it."""
        values = asdict(self)
        del values["bad_reason"], values["unsent"]
        return values


def spread(values: Signal) -> Spread:
    """The percentiles, in milliseconds, of `values`, which are durations in seconds: shape (n,)."""
    p50, p99 = np.percentile(values, (50, 99))
    return Spread(*(round(float(value) * 1000, 3) for value in (p50, p99, values.max())))


def lead(arrivals: Sequence[float]) -> int:
    """Count the frames sent ahead of their time (the lead): up to 10 that came within 10 ms after the first."""
    first = arrivals[:1]
    return sum(at - first[0] <= _BURST for at in arrivals[1 : _MAX_LEAD + 1])


def interarrivals(arrivals: Sequence[float]) -> Spread | None:
    """The times between successive frames, without frames sent ahead (the lead); None for fewer than two."""
    gaps = np.diff(np.asarray(arrivals[lead(arrivals) :]))
    return spread(gaps) if len(gaps) else None


def lateness(arrivals: Sequence[float]) -> Spread | None:
    """How long after its due time each frame arrived; None without frames.

    Frame n is due (n - lead) · 20 ms after the first frame. Frames of the lead are due with the first frame. The
    frame that arrived earliest against its due time has a lateness of 0.
    """
    return spread(_offsets(arrivals) - _offsets(arrivals).min()) if arrivals else None


def drift_ppm(arrivals: Sequence[float]) -> float | None:
    """The slope of arrivals against a 20 ms schedule, in parts per million; None for fewer than two frames.

    Frames of the lead, which came together with the first frame, do not count.
    """
    paced = arrivals[lead(arrivals) :]
    if len(paced) < 2:
        return None
    due = np.arange(len(paced)) * PTIME
    return round(float(np.polyfit(due, np.asarray(paced) - paced[0] - due, 1)[0]) * 1e6, 1)


def _offsets(arrivals: Sequence[float]) -> Signal:
    times = np.asarray(arrivals, dtype=np.float64)
    due = np.maximum(0, np.arange(len(times)) - lead(arrivals)) * PTIME
    offsets: Signal = times - times[0] - due
    return offsets
