"""Loads the files that change in the prompt folder, and logs which paths lack prompts."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence

import structlog

from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.playout.prompts.watch import watch_prompts
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import TCP, Encoding

NO_PROMPTS = 'put sound files there, or have "mediaserver init" write sample prompts'

_SHOWN = 5  # the maximum number of files that one line of the log names

log = structlog.get_logger()


class PromptMonitor:
    """Keeps a prompt library up to date with its folder.

    `configuration` returns the configuration in force. `missing` counts the prompts that paths name and that the
    library lacks.
    """

    def __init__(
        self, library: PromptLibrary, configuration: Callable[[], Configuration], metrics: Metrics
    ) -> None:
        self._library, self._configuration, self._metrics = library, configuration, metrics
        self._watching: asyncio.Task[None] | None = None
        self.missing = 0
        self._preloading: set[asyncio.Future[list[EncodedFrames]]] = set()
        # Messages about built-in paths whose prompts have not been in the folder so far.
        self._left_out: list[str] = []

    def report_missing(self) -> None:
        """Log, when the server starts, which built-in paths lack prompts.

        Also log if the folder has no prompts at all.
        """
        library = self._library
        self._left_out = self._configuration().missing_default_prompts(library)
        for problem in self._left_out:
            log.warning("built-in path disabled", why=problem)
        for link, why in library.skipped.items():
            log.warning("linked folder skipped", folder=link, why=why)
        if not library.prompts:
            log.warning("no prompts found", folder=str(library.directory.absolute()), do=NO_PROMPTS)

    def preload_backgrounds(self) -> asyncio.Future[list[EncodedFrames]]:
        """Prepare the background sounds of paths at their configured levels, so that no caller waits for them.

        The returned future is done when all backgrounds are in memory, in the encodings that callers get first.
        """
        wanted = requirements.backgrounds(self._configuration().table, self._library.snapshot)
        done = asyncio.gather(*(background.make_frames(encoding) for background, encoding in wanted))
        self._preloading.add(done)
        done.add_done_callback(self._preloading.discard)
        return done

    def on_configuration_changed(self) -> None:
        """Preload the backgrounds of a configuration that was just applied, and count missing prompts anew.

        The count starts at 0: a configuration is applied only if no configured path lacks a prompt.
        """
        self.preload_backgrounds()
        self._left_out = self._configuration().missing_default_prompts(self._library)
        self.missing = 0

    def start_watching(self) -> None:
        """Load changes of the prompt folder from now on. The setting `prompts.watch` says how they are noticed."""
        self._watching = asyncio.create_task(
            watch_prompts(
                self._library, self.first_encodings, self._configuration().settings.prompts, self.on_reloaded
            )
        )

    async def refresh(self) -> None:
        """Load changes of the prompt folder now.

        Does nothing if the folder is watched, because its changes are then loaded anyway.
        """
        if self._watching is None or self._watching.done():
            reloaded = await self._library.refresh(self.first_encodings(), settle=0)
            if reloaded is not None:
                self.on_reloaded(reloaded)

    async def close(self) -> None:
        """Stop watching the prompt folder, and stop preparing background sounds."""
        for preloading in [*self._preloading]:
            preloading.cancel()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))

    def first_encodings(self) -> Sequence[Encoding]:
        """The encodings that callers get first: on the WebSockets of paths, and on AudioSocket if it is used."""
        configuration = self._configuration()
        encodings = requirements.first_encodings(configuration.table)
        over_tcp = configuration.ports or any(route.flow for route in configuration.table)
        return [*encodings, TCP] if over_tcp else encodings

    def on_reloaded(self, reloaded: ReloadResult) -> None:
        """Count and log a change of the prompt folder that was loaded, or could not be loaded."""
        if reloaded.added or reloaded.replaced or reloaded.removed:
            self._metrics.reloads.labels("ok").inc()
            log.info(
                "prompts reloaded", added=reloaded.added, replaced=reloaded.replaced, removed=reloaded.removed
            )
            self.preload_backgrounds()
        self.report_oddities([*reloaded.added, *reloaded.replaced])
        folder = str(self._library.directory)
        for file, why in reloaded.failed.items():
            if file == os.curdir:
                log.error("prompt folder unreadable", folder=folder, why=why)
            else:
                log.error("prompt rejected", file=file, why=why)
        for name in reloaded.readable_again:
            log.info("prompt folder readable again", folder=os.path.normpath(f"{folder}/{name}"))
        if reloaded.failed:
            self._metrics.reloads.labels("failed").inc()
        self._report_removed(reloaded)

    def report_oddities(self, names: Iterable[str]) -> None:
        """Log the warnings about the files of these prompts.

        Also log which other files with the names of these prompts are not played.
        """
        names = list(names)
        for warning in self._library.warnings(names):
            log.warning("prompt has defects", why=warning)
        passed_over = list(self._library.passed_over(names))
        if passed_over:
            log.info(
                "duplicate prompt files ignored",
                files=len(passed_over),
                such_as=passed_over[:_SHOWN],
                do='"mediaserver check" lists them all',
            )

    def _report_removed(self, reloaded: ReloadResult) -> None:
        """Count the prompts that paths lack now. If the reload removed prompts, log which prompts are lacking."""
        configuration = self._configuration()
        left_out = configuration.missing_default_prompts(self._library)
        # Forget the messages about built-in paths whose prompts are there now, so that a later loss of a prompt is
        # logged.
        self._left_out = [problem for problem in self._left_out if problem in left_out]
        lost = [problem for problem in left_out if problem not in self._left_out]
        problems = [*configuration.missing_prompts(self._library), *lost]
        self.missing = len(problems)
        for problem in problems if reloaded.removed else ():
            log.error("prompt missing", why=problem)
