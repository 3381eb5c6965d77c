"""Samples of the server's metrics every few seconds, together with the lateness that callers measured."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import aiohttp

from benchmarks.servers import Scrape

from .crowd import Crowd
from .prompts import passed
from .server import Server
from .tally import Tally

MEGABYTE = 1_000_000
_LAG = "mediaserver_loop_lag_seconds"


@dataclass(frozen=True)
class Sample:
    """One sample: values of the server's metrics, and the frames' lateness since the previous sample."""

    seconds: float  # seconds since the start of the test
    calls: int
    rss_mb: float
    cache_mb: float
    fds: int
    late_p99_ms: float
    late_max_ms: float
    loop_lag_ms: float  # mean delay of the server's event loop since the previous sample
    late_ticks: int
    skipped_ticks: int
    reloads: int


@dataclass
class History:
    """All samples of a test. Samples of the first `warm_up` seconds do not count for growth."""

    warm_up: float
    samples: list[Sample] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        return [sample for sample in self.samples if sample.seconds >= self.warm_up]

    def ends(self, name: str) -> tuple[float, float]:
        """The medians of a value over the first and over the last tenth of the samples after the warm-up."""
        values = [getattr(sample, name) for sample in self.settled] or [0.0]
        tenth = max(1, len(values) // 10)
        return statistics.median(values[:tenth]), statistics.median(values[-tenth:])

    def slope(self, name: str) -> float:
        """The growth of a value per hour, by a straight line through the samples after the warm-up."""
        settled = self.settled
        if len(settled) < 2:
            return 0.0
        times = [sample.seconds / 3600 for sample in settled]
        return statistics.linear_regression(times, [getattr(sample, name) for sample in settled]).slope

    def as_dicts(self) -> list[dict[str, float]]:
        """The samples for the JSON file."""
        return [asdict(sample) for sample in self.samples]


class Watcher:
    """Takes samples at regular intervals."""

    def __init__(self, server: Server, crowd: Crowd, tally: Tally, history: History) -> None:
        self._server, self._crowd, self._tally, self.history = server, crowd, tally, history
        self._began = time.monotonic()

    async def watch(self, client: aiohttp.ClientSession, over: asyncio.Event, every: float) -> None:
        """Take a sample every `every` seconds until `over` is set, or the server is gone."""
        before: Scrape = defaultdict(float)
        while not await passed(over, every):
            now = await self._server.scrape(client)
            if not now:
                self._tally.print_errors("the server is gone")
                over.set()
                return
            self.history.samples.append(self._sample(before, now))
            before = now

    def _sample(self, before: Scrape, now: Scrape) -> Sample:
        p99, worst = self._crowd.recent.take()
        looks, lag = (now[f"{_LAG}_{what}"] - before[f"{_LAG}_{what}"] for what in ("count", "sum"))
        return Sample(
            seconds=round(time.monotonic() - self._began, 3),
            calls=self._tally.now,
            rss_mb=now["process_resident_memory_bytes"] / MEGABYTE,
            cache_mb=now["mediaserver_cache_bytes"] / MEGABYTE,
            fds=int(now["process_open_fds"]),
            late_p99_ms=round(p99, 3),
            late_max_ms=round(worst, 3),
            loop_lag_ms=round(lag / looks * 1000, 3) if looks else 0.0,
            late_ticks=int(now["mediaserver_late_ticks_total"]),
            skipped_ticks=int(now["mediaserver_skipped_ticks_total"]),
            reloads=int(now["mediaserver_reloads_total"]),
        )


def by_label(scrape: Scrape, name: str) -> Iterator[tuple[str, int]]:
    """The labels and values of a counter in a scrape, without values of 0."""
    for key, value in sorted(scrape.items()):
        if key.startswith(f"{name}{{") and value:
            yield key[len(name) + 1 : -1], int(value)
