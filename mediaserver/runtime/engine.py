"""What streams run on, whoever dialled them: the routes, the prompts, one ticker, and what is told of them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from mediaserver.call import Stream
from mediaserver.config.settings import EventSettings, PromptSettings, Settings
from mediaserver.errors import ConfigError, plainly
from mediaserver.events import Webhooks, WebhookSettings
from mediaserver.events.kinds import FAILURES, EventKind
from mediaserver.handlers.recognise import Recognise
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.prompts.library import Progress, PromptLibrary, ReloadResult
from mediaserver.playout.prompts.watch import watch_prompts
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration, prompt_cache_problems
from mediaserver.routing.table import RouteTable
from mediaserver.runtime.loop_lag import LoopLag
from mediaserver.runtime.registry import Streams
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.speech.service import SpeechService
from mediaserver.support import child_output
from mediaserver.support.metrics import Metrics
from mediaserver.support.store import Store
from mediaserver.wire.encapsulation import TCP, Encoding

NO_PROMPTS = 'put sound files there, or have "mediaserver init" write sample prompts'
MEGABYTE = 1_000_000

log = structlog.get_logger()


class Backend:
    """The operator's own systems, as streams reach them: told by webhooks, each event counted."""

    def __init__(self, webhooks: Webhooks, metrics: Metrics) -> None:
        self._webhooks, self._metrics = webhooks, metrics

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of an event; returns at once."""
        self._metrics.events.labels(kind).inc()
        self._count(kind, data)
        if not self._webhooks.wants(kind):
            return
        about: dict[str, Any] = {
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": dict(stream.variables),
        }
        self._webhooks.emit(stream.id, kind, {**about, **data})

    def _count(self, kind: str, data: Mapping[str, Any]) -> None:
        metrics = self._metrics
        if kind == EventKind.ANALYSIS:
            for name, counter in metrics.analysed.items():
                counter.inc(max(0, data.get(name, 0)))
        elif kind == EventKind.TRANSCRIPT_FINAL:
            metrics.recognitions.labels("ok" if data.get("text") else "empty").inc()
            metrics.recognition_seconds.observe(data.get("seconds", 0.0))
        elif kind == EventKind.RECOGNITION_FAILED:
            metrics.recognitions.labels("dropped" if data.get("dropped") else "failed").inc()
        elif kind == EventKind.STREAM_INBOUND:
            metrics.inbound_problems.labels(data.get("problem", "")).inc()
        elif kind == EventKind.KEYWORD:
            metrics.keywords.labels(data.get("keyword", "")).inc()
        elif kind == EventKind.ASSISTANT_TURN and "first_audio_ms" in data:
            metrics.first_audio.observe(data["first_audio_ms"] / 1000)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """The JSON answer to a question."""
        return await self._webhooks.ask(url, body, timeout)

    def forget(self, stream: Stream) -> None:
        """The stream's last event has been told."""
        self._webhooks.forget(stream.id)


class Engine:
    """All but the listeners. `where` names the configuration in messages; `problems` is what is wrong with it."""

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self.configuration = Configuration.build(settings, where, problems)
        self.metrics = Metrics()
        self.metrics.expect_events(FAILURES)
        self.ticker = Ticker(partial(system_alarm, asyncio.get_running_loop()))
        self.library = open_library(settings)
        self.speech = SpeechService(
            settings.speech,
            settings.recognition,
            settings.chat,
            _spoken_store(settings.prompts),
            self.metrics.spoken.observe,
        )
        self.webhooks = Webhooks(_webhook_settings(settings.events, self.configuration.secrets["events.secret"]))
        self.backend = Backend(self.webhooks, self.metrics)
        self.streams = Streams(self.metrics, self.backend)
        self.streams.use(settings.server, self.configuration.table)
        self._watching: asyncio.Task[None] | None = None
        self._lacking = 0  # paths without their prompts
        self._left_out: list[str] = []  # built-in paths that have not had theirs yet
        self._awaited: set[EngineRequirement] = set()  # engines that paths have needed from the start
        self.configuration_current = True  # or one was refused
        self._lag = LoopLag(self.metrics.loop_lag.observe)
        self.metrics.expect_keywords(_keywords(self.table))
        self._export()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.configuration.settings

    @property
    def table(self) -> RouteTable:
        """The paths in force."""
        return self.configuration.table

    async def load(self, progress: Progress = lambda done, total: None) -> None:
        """Decode the prompts and check the paths against them; ConfigError tells all that is wrong."""
        configuration = self.configuration
        await self.library.load(self._first_encodings(), progress)
        for file, problem in self.library.problems.items():
            if file != os.curdir:  # the folder itself: told as what is wrong with its setting
                log.error("prompt left out", file=file, why=problem)
        problems = [*configuration.problems, *configuration.missing_prompts(self.library)]
        if problems:
            raise ConfigError(problems)
        self._tell_of_what_is_not_there()
        self._awaited = requirements.required_engines(configuration.table)
        self.speech.preload(self._awaited)
        if self.library.store.cache.evictions:
            log.warning(
                "the prompts do not fit into memory: some are decoded again when they are asked for",
                key="prompts.memory_limit",
                limit_mb=configuration.settings.prompts.memory_limit,
            )

    def _tell_of_what_is_not_there(self) -> None:
        """Built-in paths and prompts that are not there at the start, and what to do."""
        library = self.library
        self._left_out = self.configuration.missing_default_prompts(library)
        for problem in self._left_out:
            log.warning("a built-in path is left out until its prompts are there", why=problem)
        if not library.prompts:
            log.warning(
                "there are no prompts",
                folder=str(library.directory.absolute()),
                do=NO_PROMPTS,
            )
        self._tell_of_misspelt_events()

    def _tell_of_misspelt_events(self) -> None:
        for problem in self.configuration.misspelt_events:
            log.warning("an event type is unknown", why=problem)

    @property
    def why_not_ready(self) -> str:
        """The engines that paths need and that are not ready yet, each with the reason; "" where all are."""
        return "; ".join(self.speech.not_ready_reasons(self._awaited))

    def objections(self, configuration: Configuration) -> list[str]:
        """Why it cannot go on with another configuration."""
        fixed = self.configuration.needing_restart(configuration)
        return [*configuration.problems, *fixed, *configuration.missing_prompts(self.library)]

    def use(self, configuration: Configuration) -> None:
        """Go on with another configuration, all of it, for streams to come."""
        self.configuration = configuration
        self._tell_of_misspelt_events()
        needed = requirements.required_engines(configuration.table)
        self._left_out = configuration.missing_default_prompts(self.library)
        self._awaited &= needed  # what is new starts while others are served, as before
        self.speech.preload(needed)
        self._lacking = 0
        self.streams.use(configuration.settings.server, configuration.table)
        self.metrics.expect_keywords(_keywords(configuration.table))

    def watch(self) -> None:
        """Take in what changes in the prompt folder, from now on."""
        settings = self.settings.prompts
        self._watching = asyncio.create_task(
            watch_prompts(self.library, self._first_encodings, settings, self._told)
        )

    async def look(self) -> None:
        """Take in what changed in the prompt folder, where nobody watches it."""
        if self._watching is None or self._watching.done():
            reloaded = await self.library.refresh(self._first_encodings(), settle=0)
            if reloaded is not None:
                self._told(reloaded)

    def _first_encodings(self) -> Sequence[Encoding]:
        """What callers hear first, by WebSocket and on the ports of AudioSocket."""
        encodings = requirements.first_encodings(self.table)
        return [*encodings, TCP] if self.configuration.ports else encodings

    def _told(self, reloaded: ReloadResult) -> None:
        """Prompts have changed: what there is to say of it."""
        if reloaded.added or reloaded.replaced or reloaded.removed:
            self.metrics.reloads.labels("ok").inc()
            log.info(
                "prompts taken in", added=reloaded.added, replaced=reloaded.replaced, removed=reloaded.removed
            )
        folder = str(self.library.directory)
        for file, why in reloaded.failed.items():
            if file == os.curdir:
                log.error("the prompt folder is gone: all prompts stay as they were", folder=folder, why=why)
            else:
                log.error("prompt not taken in", file=file, why=why)
        for name in reloaded.readable_again:
            log.info("the prompt folder can be read again", folder=os.path.normpath(f"{folder}/{name}"))
        if reloaded.failed:
            self.metrics.reloads.labels("failed").inc()
        left_out = self.configuration.missing_default_prompts(self.library)
        self._left_out = [line for line in self._left_out if line in left_out]  # the others have had theirs
        gone = [line for line in left_out if line not in self._left_out]
        missing = [*self.configuration.missing_prompts(self.library), *gone]
        self._lacking = len(missing)
        for problem in missing if reloaded.removed else ():
            log.error("a path lacks its prompt", why=problem)

    async def close(self) -> None:
        """Let go of everything; events that wait are delivered first, for some seconds at most."""
        self._lag.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
        await self.webhooks.close()
        await self.speech.close()
        await self.library.close()
        self.ticker.close()

    def _export(self) -> None:
        ticker, cache, library, pool = self.ticker, self.library.store.cache, self.library, self.library.pool
        counter, gauge = self.metrics.counter, self.metrics.gauge
        counter("frames", "Frames sent", lambda: ticker.frames)
        counter(
            "late_ticks", "Frames sent a ptime or more after their time, to catch up", lambda: ticker.late_ticks
        )
        counter("skipped_ticks", "Frames never sent because time was lost", lambda: ticker.skipped_ticks)
        self.metrics.histogram(
            "tick_lateness_seconds", "How late the frames of one moment were sent", lambda: ticker.lateness
        )
        counter("cache_hits", "Look-ups of prompts' messages found in memory", lambda: cache.hits)
        counter("cache_misses", "Look-ups of prompts' messages not found in memory", lambda: cache.misses)
        counter("cache_evictions", "Prompts' messages let go of for want of memory", lambda: cache.evictions)
        counter("decodes", "Sound files decoded", lambda: pool.decodes)
        counter("decode_seconds", "Seconds that decoding sound files took", lambda: pool.decode_seconds)
        counter("disk_cache", "Prompts looked up in the cache on disk, by what was found", lambda: pool.stored)
        counter("printed_lines", "What our processes printed, by what became of it", lambda: child_output.counts)
        counter("webhooks", "Events for the operator's URL, by what became of them", lambda: self.webhooks.results)
        counter("sentences", "Sentences said, by where their sound came from", lambda: self.speech.results)
        gauge("cache_bytes", "Memory taken by prompts' messages", lambda: cache.bytes)
        gauge("prompts", "Prompts that can be played", lambda: len(library.prompts))
        gauge("prompt_errors", "Files in the prompt folder that cannot be played", lambda: len(library.problems))
        gauge("paths_without_prompts", "Paths whose prompts are not there", lambda: self._lacking)
        gauge(
            "configuration_current",
            "Whether the configuration in the files is in force",
            lambda: self.configuration_current,
        )
        gauge("max_streams", "Streams that there may be", lambda: self.settings.server.max_streams)


def open_library(settings: Settings, *, make_store: bool = True) -> PromptLibrary:
    """A configuration's library, not yet loaded. Decoded sound is kept, without `make_store` where some is."""
    prompts = settings.prompts
    store = _usable_store(prompts, make=make_store)
    pool = DecodePool(store, prompts.cache_limit * MEGABYTE, prompts.longest)
    return PromptLibrary(prompts.directory, prompts.memory_limit * MEGABYTE, pool)


def _keywords(table: RouteTable) -> set[str]:
    """What paths listen for."""
    listening = (route for route in table if issubclass(route.handler, Recognise))
    return {keyword for route in listening for keyword in route.settings.get("keywords", ())}


def _spoken_store(prompts: PromptSettings) -> Path | None:
    """The folder of what was spoken, beside that of decoded sound; made when there is something to keep."""
    place = None if prompt_cache_problems(prompts, "") else prompts.cache_directory
    return place / "speech" if place is not None else None


def _usable_store(prompts: PromptSettings, *, make: bool) -> Path | None:
    """The folder of decoded sound, if there is to be one and it can be written."""
    if prompts.cache == "off" or prompt_cache_problems(prompts, ""):
        return None
    place, why = prompts.cache_directory, "there is no home directory"
    if place is not None:
        store = place / "sounds"
        try:
            if not make and not store.is_dir():
                return None
            Store(str(store), 0).open()
            return store
        except OSError as error:
            why = plainly(error)
    log.warning(
        "decoded prompts are not kept on disk: every start decodes them anew",
        key="prompts.cache",
        folder=str(place or prompts.cache),
        why=why,
    )
    return None


def _webhook_settings(events: EventSettings, secret: str) -> WebhookSettings:
    return WebhookSettings(
        url=events.url,
        secret=secret,
        timeout=events.timeout,
        give_up=events.give_up,
        queue=events.queue,
        events=frozenset(events.types) or None,
    )
