"""The server's life: start, serve, drain, end."""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Sequence

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mediaserver import __version__
from mediaserver.client.attach import Attacher
from mediaserver.config import Settings
from mediaserver.errors import ConfigError, plainly
from mediaserver.playout.library import Progress
from mediaserver.server import admin
from mediaserver.server.media import MediaEndpoint
from mediaserver.streams.connection import CLOSE_TIMEOUT
from mediaserver.streams.engine import MEGABYTE, Engine

_BACKLOG = 4096
_SPARE_DESCRIPTORS = 100  # for all that is not a stream
_GRACE = 2.0  # seconds for what is ours to do when a peer has not answered our close
EXIT_UNCLEAN = 1

log = structlog.get_logger()


class Server:
    """One media server: a public listener and an admin listener around one engine."""

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self._settings, self._where = settings, where
        self._state = "starting"
        self.engine = Engine(settings, where, problems)
        self.endpoint = MediaEndpoint(self.engine)
        self.attacher = Attacher(self.engine)
        self._runners: list[web.AppRunner] = []
        self.engine.metrics.gauge("ready", "Whether calls are taken", lambda: not self._state)

    async def start(self, progress: Progress = lambda done, total: None) -> None:
        """Answer health checks, decode the prompts, check the paths against them, then listen for calls.

        ConfigError where a path's prompt is missing or broken, or an address cannot be listened on.
        """
        settings, library = self._settings, self.engine.library
        self.admin_port, _ = await self._listen(
            admin.application(self.engine, self.attacher, self._why_not_ready),
            settings.admin.host,
            settings.admin.port,
            "admin",
        )
        await self.engine.load(progress)
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
            paths=len(self.engine.routes),
            prompts=len(library.prompts),
            cached_mb=round(library.cache.bytes / MEGABYTE, 1),
        )

    async def drain(self) -> bool:
        """Take no more calls, let those in progress end for a while, close the rest; whether all did end."""
        self._state = "draining"
        await self._site.stop()
        return await self.engine.streams.drain(self._settings.server.drain_timeout, CLOSE_TIMEOUT + _GRACE)

    async def close(self) -> None:
        """Let go of everything."""
        for runner in self._runners:
            await runner.cleanup()
        await self.attacher.close()
        await self.engine.close()

    def _why_not_ready(self) -> str:
        return self._state

    async def _listen(self, app: web.Application, host: str, port: int, table: str) -> tuple[int, web.TCPSite]:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:  # a host name may be none by its letters
            raise ConfigError(
                [f"{self._where}: {table}: cannot listen on {host}:{port}: {plainly(error)}"]
            ) from error
        address: tuple[str, int] = runner.addresses[0]
        return address[1], site


async def serve(
    settings: Settings, where: str, problems: Sequence[str], progress: Progress = lambda done, total: None
) -> None:
    """Serve until SIGTERM or SIGINT, drain, return. A second signal ends the process at once.

    ConfigError tells all `problems`, those already known and those found with the prompts.
    """
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            log.warning("ended at once by a second signal")
            os._exit(EXIT_UNCLEAN)
        stopping.set()

    _raise_descriptor_limit(settings.server.max_streams)
    logging.getLogger("aiohttp.server").addFilter(_hide_malformed_request)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    server = Server(settings, where, problems)
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
        if not await server.drain():
            streams = [session.stream.id for session in server.engine.streams]
            log.error("handlers do not let their streams end", streams=streams)
            os._exit(EXIT_UNCLEAN)
        log.info("drained")
    finally:
        await server.close()


def _raise_descriptor_limit(streams: int) -> None:
    """Each stream is a file descriptor; systems grant fewer than they would on request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _SPARE_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        log.warning(
            "fewer file descriptors than streams", key="server.max_streams", streams=streams, descriptors=soft
        )


def _hide_malformed_request(record: logging.LogRecord) -> bool:
    """aiohttp logs a request it cannot parse with all that it is, a token in its URL included."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args, record.exc_info = f"malformed request: {type(error).__name__}", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
