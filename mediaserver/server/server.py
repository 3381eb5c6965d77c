"""The server's life: start, serve, drain, end."""

import asyncio
import os
import signal
from functools import partial

import structlog
from aiohttp import web

from mediaserver import __version__
from mediaserver.config import Settings
from mediaserver.errors import ConfigError
from mediaserver.metrics import Metrics
from mediaserver.playout.alarm import system_alarm
from mediaserver.playout.library import Progress, PromptLibrary
from mediaserver.playout.ticker import Ticker
from mediaserver.playout.workers import DecodePool
from mediaserver.server import admin, routes
from mediaserver.server.media import MediaEndpoint

_BACKLOG = 4096
MEGABYTE = 1_000_000

log = structlog.get_logger()


class Server:
    """One media server: a public listener and an admin listener around one ticker and one library.

    `where` names the configuration in messages.
    """

    def __init__(self, settings: Settings, where: str) -> None:
        self._settings, self._where = settings, where
        self._routes, self._problems = routes.build(settings, where)
        self._state = "starting"
        self.metrics = Metrics()
        self.ticker = Ticker(partial(system_alarm, asyncio.get_running_loop()))
        self.library = open_library(settings)
        self.endpoint = MediaEndpoint(settings.server, self._routes, self.library, self.ticker, self.metrics)
        self._runners: list[web.AppRunner] = []
        self._export()

    async def start(self, progress: Progress = lambda done, total: None) -> None:
        """Answer health checks, decode the prompts, check the paths against them, then listen for calls.

        ConfigError where a path's prompt is missing or broken, or an address cannot be listened on.
        """
        settings = self._settings
        self.admin_port, _ = await self._listen(
            admin.application(self.metrics, self._why_not_ready), settings.admin.host, settings.admin.port, "admin"
        )
        await self.library.load(routes.first_encodings(self._routes), progress)
        for file, problem in self.library.problems.items():
            log.error("prompt left out", file=file, why=problem)
        problems = self._problems + routes.missing_prompts(self._routes, self.library, self._where)
        if problems:
            raise ConfigError(problems)
        self.port, self._site = await self._listen(
            self.endpoint.application(), settings.server.host, settings.server.port, "server"
        )
        self._state = ""
        log.info(
            "listening",
            version=__version__,
            host=settings.server.host,
            port=self.port,
            admin=f"{settings.admin.host}:{self.admin_port}",
            paths=len(self._routes),
            prompts=len(self.library.prompts),
            cached_mb=round(self.library.cache.bytes / MEGABYTE, 1),
        )

    async def drain(self) -> None:
        """Take no more calls, let those in progress end for a while, close the rest."""
        self._state = "draining"
        await self._site.stop()
        await self.endpoint.drain()

    async def close(self) -> None:
        """Let go of everything."""
        for runner in self._runners:
            await runner.cleanup()
        await self.library.close()
        self.ticker.close()

    def _why_not_ready(self) -> str:
        return self._state

    async def _listen(self, app: web.Application, host: str, port: int, table: str) -> tuple[int, web.TCPSite]:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ConfigError([f"{self._where}: {table}: cannot listen on {host}:{port}: {why}"]) from error
        address: tuple[str, int] = runner.addresses[0]
        return address[1], site

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
        gauge("cache_bytes", "Memory taken by prompts' messages", lambda: cache.bytes)
        gauge("prompts", "Prompts that can be played", lambda: len(library.prompts))
        gauge("prompt_errors", "Files in the prompt folder that cannot be played", lambda: len(library.problems))
        gauge("ready", "Whether calls are taken", lambda: not self._state)


def open_library(settings: Settings) -> PromptLibrary:
    """The library of a configuration, not yet loaded."""
    return PromptLibrary(settings.prompts.directory, settings.prompts.memory_limit * MEGABYTE, DecodePool())


async def serve(settings: Settings, where: str, progress: Progress = lambda done, total: None) -> None:
    """Serve until SIGTERM or SIGINT, drain, return. A second signal ends the process at once."""
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    server = Server(settings, where)
    try:
        starting = asyncio.create_task(server.start(progress))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return
        await starting
        await stop
        await server.drain()
        log.info("drained")
    finally:
        await server.close()
