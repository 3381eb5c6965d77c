"""What streams run on, whoever dialled them: the routes, the prompts, one ticker, and what is told of them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from mediaserver.config import EventSettings, Settings
from mediaserver.errors import ConfigError
from mediaserver.metrics import Metrics
from mediaserver.playout.alarm import system_alarm
from mediaserver.playout.library import Progress, PromptLibrary, is_folder
from mediaserver.playout.ticker import Ticker
from mediaserver.playout.workers import DecodePool
from mediaserver.secrets import reveal
from mediaserver.session import Stream
from mediaserver.streams import routes
from mediaserver.streams.registry import Streams
from mediaserver.streams.routes import RouteTable
from mediaserver.webhooks import Webhooks, WebhookSettings

MEGABYTE = 1_000_000

log = structlog.get_logger()


class Backend:
    """The operator's own systems, as streams reach them: told by webhooks, each event counted."""

    def __init__(self, webhooks: Webhooks, metrics: Metrics) -> None:
        self._webhooks, self._metrics = webhooks, metrics

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of an event; returns at once."""
        self._metrics.events.labels(kind).inc()
        if kind == "analysis":
            for name, counter in self._metrics.analysed.items():
                counter.inc(max(0, data.get(name, 0)))
        if not self._webhooks.wants(kind):
            return
        about: dict[str, Any] = {
            "path": stream.path,
            "resource": stream.resource,
            "variables": dict(stream.variables),
        }
        self._webhooks.emit(stream.id, kind, {**about, **data})

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """The JSON answer to a question."""
        return await self._webhooks.ask(url, body, timeout)

    def forget(self, stream: Stream) -> None:
        """The stream's last event has been told."""
        self._webhooks.forget(stream.id)


class Engine:
    """All but the listeners. `where` names the configuration in messages; `problems` is what is wrong with it."""

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self.settings, self._where = settings, where
        self.routes, found = routes.build(settings, where)
        secrets, missing = secrets_of(settings, where)
        self._problems = [*problems, *found, *missing]
        self.table = RouteTable(self.routes)
        self.metrics = Metrics()
        self.ticker = Ticker(partial(system_alarm, asyncio.get_running_loop()))
        self.library = open_library(settings)
        self.webhooks = Webhooks(_webhook_settings(settings.events, secrets["events.secret"]))
        self.backend = Backend(self.webhooks, self.metrics)
        self.streams = Streams(settings.server.max_streams, self.metrics, self.backend)
        self._export()

    async def load(self, progress: Progress = lambda done, total: None) -> None:
        """Decode the prompts and check the paths against them; ConfigError tells all that is wrong."""
        settings = self.settings
        await self.library.load(routes.first_encodings(self.routes), progress)
        for file, problem in self.library.problems.items():
            log.error("prompt left out", file=file, why=problem)
        problems = self._problems + prompt_problems(self.routes, self.library, self._where)
        if problems:
            raise ConfigError(problems)
        if self.library.cache.evictions:
            log.warning(
                "the prompts do not fit into memory: some are decoded again when they are asked for",
                key="prompts.memory_limit",
                limit_mb=settings.prompts.memory_limit,
            )

    async def close(self) -> None:
        """Let go of everything; events that wait are delivered first, for some seconds at most."""
        await self.webhooks.close()
        await self.library.close()
        self.ticker.close()

    def _export(self) -> None:
        ticker, cache, library = self.ticker, self.library.cache, self.library
        counter, gauge = self.metrics.counter, self.metrics.gauge
        counter("frames", "Frames sent", lambda: ticker.frames)
        counter(
            "late_ticks", "Frames sent a ptime or more after their time, to catch up", lambda: ticker.late_frames
        )
        counter("skipped_ticks", "Frames never sent because time was lost", lambda: ticker.skipped_frames)
        counter("cache_hits", "Look-ups of prompts' messages found in memory", lambda: cache.hits)
        counter("cache_misses", "Look-ups that were not", lambda: cache.misses)
        counter("cache_evictions", "Prompts' messages let go of for want of memory", lambda: cache.evictions)
        counter("webhooks", "Events for the operator's URL, by what became of them", lambda: self.webhooks.results)
        gauge("cache_bytes", "Memory taken by prompts' messages", lambda: cache.bytes)
        gauge("prompts", "Prompts that can be played", lambda: len(library.prompts))
        gauge("prompt_errors", "Files in the prompt folder that cannot be played", lambda: len(library.problems))


def prompt_problems(built: list[routes.Route], library: PromptLibrary, where: str) -> list[str]:
    """What is wrong with the paths' prompts, now that the library is loaded."""
    if not is_folder(library.directory):
        return [f"{where}: prompts.directory: {library.directory} is not a folder"]
    return routes.missing_prompts(built, library, where)


def open_library(settings: Settings) -> PromptLibrary:
    """The library of a configuration, not yet loaded."""
    return PromptLibrary(settings.prompts.directory, settings.prompts.memory_limit * MEGABYTE, DecodePool())


def secrets_of(settings: Settings, where: str) -> tuple[dict[str, str], list[str]]:
    """The secrets that the settings hold or name, "" where there is none, and what names one that is not there."""
    found, problems = {}, []
    for key, secret in (("voipbin.token", settings.voipbin.token), ("events.secret", settings.events.secret)):
        try:
            found[key] = reveal(secret, f"{where}: {key}")
        except ConfigError as error:
            found[key] = ""
            problems += error.problems
    return found, problems


def _webhook_settings(events: EventSettings, secret: str) -> WebhookSettings:
    return WebhookSettings(
        url=events.url,
        secret=secret,
        timeout=events.timeout,
        give_up=events.give_up,
        queue=events.queue,
        events=frozenset(events.types) or None,
    )
