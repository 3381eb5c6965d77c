"""The engine of one server makes and connects its parts: routes, prompts, speech, webhooks, ticker and streams."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import structlog

from mediaserver.audio.pcm import PTIME
from mediaserver.call.inbound.frame_gatherer import FrameGatherer
from mediaserver.call.problems import UNDELIVERED
from mediaserver.call.recording.disk import DISK_TIMEOUT
from mediaserver.config.settings import EventSettings, Settings
from mediaserver.errors import ConfigError
from mediaserver.events import Webhooks, WebhookSettings
from mediaserver.events.hub import EventHub
from mediaserver.events.kinds import FAILURES
from mediaserver.handlers.recognise import Recognise
from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.prompts.editing.editor import PromptEditor
from mediaserver.playout.prompts.editing.history import History
from mediaserver.playout.prompts.editing.uploads import Uploads
from mediaserver.playout.prompts.library import Progress
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.folders import unwritable_folders
from mediaserver.routing.table import RouteTable
from mediaserver.runtime import exported_metrics
from mediaserver.runtime.disk_caches import MEGABYTE, open_library, speech_cache_folder
from mediaserver.runtime.loop_lag import LoopLagMonitor
from mediaserver.runtime.prompt_monitor import PromptMonitor
from mediaserver.runtime.registry import StreamRegistry
from mediaserver.runtime.reloads import Reloads
from mediaserver.runtime.webhook_event_sink import WebhookEventSink
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.speech.service import SpeechService
from mediaserver.support.metrics import Metrics
from mediaserver.support.spread_calls import SpreadCalls
from mediaserver.support.timers import Timers
from mediaserver.transport.frame_poller import FramePoller
from mediaserver.transport.held_writes import HeldWrites

# The most handlers that are ended in one turn of the event loop. With each ends a stream, whose summary, log line
# and last event take 0.25 ms.
_ENDS_PER_TURN = 8

log = structlog.get_logger()


class Engine:
    """All parts of a server except its listeners (the sockets that accept connections).

    `where` is the configuration's name in messages. `problems` are the mistakes found in the configuration's
    settings: `load` raises a ConfigError with them.
    """

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self.configuration = Configuration.build(settings, where, problems)
        self.reloads = Reloads()
        self.metrics = Metrics()
        self.held_writes = HeldWrites()
        self.ticker = Ticker(partial(system_alarm, asyncio.get_running_loop()), writes=self.held_writes)
        self.frame_gatherer = FrameGatherer(self.ticker)
        self.frame_poller = FramePoller(self.ticker, self.frame_gatherer.deliver_polled)
        self.handler_ends = SpreadCalls(_ENDS_PER_TURN)
        self.timers = Timers(grid=PTIME)  # of the pings to all peers, and of the checks of what they send
        self.library = open_library(settings)
        self.prompts = PromptMonitor(self.library, lambda: self.configuration, self.metrics)
        self.prompt_editor = PromptEditor(
            self.library,
            History(settings.prompts.directory, settings.prompts.history),
            self.prompts.first_encodings,
            self.prompts.on_reloaded,
        )
        self.uploads = Uploads(settings.prompts.directory, settings.prompts.upload_limit * MEGABYTE)
        self.speech = SpeechService(
            settings.speech,
            settings.recognition,
            settings.chat,
            speech_cache_folder(settings.prompts),
            self.metrics.spoken.observe,
            settings.prompts.level,
        )
        self.webhooks = Webhooks(
            _webhook_settings(settings.events, self.configuration.secrets["events.secret"]),
            on_failed=lambda stream, why: self.streams.note_failure(stream, UNDELIVERED, why),
        )
        self.events = EventHub()
        self.event_sink = WebhookEventSink(self.webhooks, self.events, self.metrics)
        self.streams = StreamRegistry(self.metrics, self.event_sink)
        self.streams.apply_limits(settings.server, self.configuration.table)
        # The speech engines that paths needed at the start, and still need. The server is not ready before them.
        self._awaited: set[EngineRequirement] = set()
        self._loop_lag = LoopLagMonitor(self.metrics.loop_lag.observe)
        self.metrics.expect_events(FAILURES)
        self.metrics.expect_keywords(_keywords(self.table))
        self._export_metrics()

    @property
    def settings(self) -> Settings:
        """The settings of the configuration that is in force."""
        return self.configuration.settings

    @property
    def table(self) -> RouteTable:
        """The table of routes of the configuration that is in force."""
        return self.configuration.table

    async def load(self, progress: Progress = lambda done, total: None) -> None:
        """Decode the prompts, check that the prompts of all paths exist, and start the engines that paths need.

        Raises ConfigError with all mistakes in the settings and all missing prompts.
        """
        configuration = self.configuration
        await self.library.load(self.prompts.first_encodings(), progress)
        for file, problem in self.library.problems.items():
            if file != os.curdir:  # if the whole folder has a problem, `missing_prompts` reports it
                log.error("prompt rejected", file=file, why=problem)
        problems = [*configuration.problems, *configuration.missing_prompts(self.library)]
        if problems:
            raise ConfigError(problems)
        if configuration.settings.prompts.editable:
            await asyncio.to_thread(self.uploads.remove_abandoned)  # which a crash has left
        await self.prompts.preload_backgrounds()
        self.prompts.report_oddities(self.library.prompts)
        self.prompts.report_missing()
        self._warn_of_misspelt_events()
        await self.warn_of_unwritable_folders()
        self._awaited = requirements.required_engines(configuration.table)
        self.speech.preload(self._awaited)
        if self.library.store.cache.evictions:
            log.warning(
                "prompts exceed memory limit",
                key="prompts.memory_limit",
                limit_mb=configuration.settings.prompts.memory_limit,
            )

    async def warn_of_unwritable_folders(self) -> None:
        """Log a warning for each folder into which calls or requests write, and which cannot be written."""
        try:
            async with asyncio.timeout(DISK_TIMEOUT):  # a disk that does not answer must not hold up a start
                problems = await asyncio.to_thread(unwritable_folders, self.configuration)
        except TimeoutError:
            problems = ["the disk of a folder does not answer"]
        for problem in problems:
            log.warning("folder not writable", why=problem)

    def _warn_of_misspelt_events(self) -> None:
        for problem in self.configuration.misspelt_events:
            log.warning("event type unknown", why=problem)

    @property
    def why_not_ready(self) -> str:
        """Why speech engines that paths need are not ready yet; "" if all of them are ready."""
        return "; ".join(self.speech.not_ready_reasons(self._awaited))

    def validate_configuration(self, configuration: Configuration) -> list[str]:
        """The problems for which a new configuration cannot be applied, one line for each; [] if it can be."""
        fixed = self.configuration.needing_restart(configuration)
        return [*configuration.problems, *fixed, *configuration.missing_prompts(self.library)]

    def apply_configuration(self, configuration: Configuration) -> None:
        """Put a new configuration in force for all streams that begin from now on."""
        self.configuration = configuration
        self._warn_of_misspelt_events()
        needed = requirements.required_engines(configuration.table)
        # The server stays ready while an engine that is newly needed starts, because calls are being served.
        self._awaited &= needed
        self.speech.preload(needed)
        self.prompts.on_configuration_changed()
        self.streams.apply_limits(configuration.settings.server, configuration.table)
        self.metrics.expect_keywords(_keywords(configuration.table))

    async def close(self) -> None:
        """Stop all parts of the engine. Waiting events are still sent, for some seconds at most."""
        self._loop_lag.stop()
        await self.prompts.close()
        await self.webhooks.close()
        await self.speech.close()
        await self.library.close()
        self.ticker.close()

    def _export_metrics(self) -> None:
        exported_metrics.export_pacing(self.metrics, self.ticker)
        exported_metrics.export_prompts(self.metrics, self.library)
        exported_metrics.export_results(self.metrics, self.webhooks, self.speech)
        exported_metrics.export_engines(self.metrics, self.speech)
        gauge = self.metrics.gauge
        gauge("paths_without_prompts", "Paths that lack a prompt", lambda: self.prompts.missing)
        gauge(
            "configuration_current",
            "1 if the configuration in the files is in force, 0 if it could not be loaded",
            lambda: self.reloads.current,
        )
        gauge(
            "max_streams",
            "The most streams at once, which is server.max_streams",
            lambda: self.settings.server.max_streams,
        )


def _keywords(table: RouteTable) -> set[str]:
    """All keywords for which the handler `recognise` listens on any path."""
    listening = (route for route in table if issubclass(route.handler, Recognise))
    return {keyword for route in listening for keyword in route.settings.get("keywords", ())}


def _webhook_settings(events: EventSettings, secret: str) -> WebhookSettings:
    return WebhookSettings(
        url=events.url,
        secret=secret,
        timeout=events.timeout,
        give_up=events.give_up,
        queue=events.queue,
        events=frozenset(events.types) or None,
    )
