"""The server's life: start, serve, drain, end."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from mediaserver import __version__
from mediaserver.client.attach import Attacher
from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError
from mediaserver.playout.prompts.library import Progress
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.engine import MEGABYTE, Engine
from mediaserver.server.admin.endpoint import AdminEndpoint
from mediaserver.server.audiosocket import AudioSocketEndpoint
from mediaserver.server.garbage import Garbage
from mediaserver.server.http import tls
from mediaserver.server.http.descriptors import raise_descriptor_limit
from mediaserver.server.http.listener import Keys, Listener
from mediaserver.server.http.media import MediaEndpoint
from mediaserver.server.http.tls_handshake import TlsHandshakes
from mediaserver.server.reload import Reloader, Source, watch_handlers
from mediaserver.server.terminal import Terminal
from mediaserver.transport.connection import CLOSE_TIMEOUT

_GRACE = 2.0  # seconds for what is ours to do when a peer has not answered our close
_HANDSHAKES = 1.0  # seconds for handshakes that are under way when we stop listening
EXIT_UNCLEAN = 1

log = structlog.get_logger()


class Server:
    """One media server: a public listener and an admin listener around one engine."""

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self._state = "starting"
        self.tls, wrong = tls.load(settings, where)
        self.engine = Engine(settings, where, [*problems, *wrong])
        self.endpoint = MediaEndpoint(self.engine)
        self.audiosocket = AudioSocketEndpoint(self.engine, self.endpoint.connections)
        self.attacher = Attacher(self.engine)
        self.admin = AdminEndpoint(self.engine, self.attacher, lambda: self._state, lambda: self._why_not_ready)
        self._garbage = Garbage(lambda: len(self.engine.streams))
        self._admin: web.AppRunner | None = None
        self._listeners: list[Listener] = []  # the admin port's, then those of media
        metrics, connections = self.engine.metrics, self.endpoint.connections
        metrics.gauge(
            "ready", "Whether calls are taken, and all paths can do their work", lambda: not self._why_not_ready
        )
        metrics.gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate expires, as Unix time; 0 without one",
            lambda: self.tls.expires if self.tls is not None else 0,
        )
        metrics.gauge("connections", "Connections of the media ports", lambda: len(connections))
        metrics.gauge("admin_connections", "Connections of the admin port", lambda: self.admin.connections)
        metrics.gauge(
            "handshakes",
            "Connections of the media ports whose handshake is under way",
            lambda: connections.unfinished,
        )

    async def start(self, progress: Progress = lambda done, total: None) -> None:
        """Answer health checks, decode the prompts, check the paths against them, then listen for calls.

        ConfigError where a path's prompt is missing or broken, or an address cannot be listened on.
        """
        configuration, library = self.engine.configuration, self.engine.library
        settings = configuration.settings
        try:
            self.admin_port = await self._listen_for_admin()
        except ConfigError as error:
            problems = [*configuration.problems, *error.problems]
            try:
                await self._listen_for_media()  # no call is taken: only to tell of all ports at once
            except ConfigError as others:
                problems += others.problems
            raise ConfigError(problems) from error
        await self.engine.load(progress)
        await self._listen_for_media()
        self._garbage.start()
        self._state = ""
        if self.tls is not None:
            self.tls.tell()
        served = {route.pattern for route in configuration.table} - configuration.paths_without_prompts(library)
        log.info(
            "listening",
            version=__version__,
            host=settings.server.host,
            port=self.port,
            tls=self.tls is not None,
            admin=f"{settings.admin.host}:{self.admin_port}",
            **({"audiosocket": self.audiosocket.paths} if self.audiosocket.bound else {}),
            paths=len(served),
            open_paths=len(served & set(configuration.table.open_paths)),  # to anybody who reaches the port
            prompts=len(library.prompts),
            cached_mb=round(library.store.cache.bytes / MEGABYTE, 1),
        )

    @property
    def _why_not_ready(self) -> str:
        """Why it should not be sent calls, "" where it should."""
        return self._state or self.engine.why_not_ready

    async def drain(self) -> bool:
        """Take no more calls, let those in progress end for a while, close the rest; whether all did end.

        Calls that have come already, but not yet finished their handshake, are still taken.
        """
        self._state = "draining"
        for listener in self._listeners[1:]:
            await listener.close()
        await self.endpoint.connections.wait_for_handshakes(_HANDSHAKES)
        timeout = self.engine.settings.server.drain_timeout
        return await self.engine.streams.drain(timeout, CLOSE_TIMEOUT + _GRACE)

    async def close(self) -> None:
        """Let go of everything."""
        self._garbage.stop()
        for listener in self._listeners:
            await listener.close()
        await self.endpoint.connections.shutdown(1.0)
        if self._admin is not None:
            await self._admin.cleanup()
        await self.attacher.close()
        await self.engine.close()

    async def _listen_for_media(self) -> None:
        """Listen for WebSockets and for AudioSocket; ConfigError tells of all ports that cannot be listened on."""
        configuration, connections = self.engine.configuration, self.endpoint.connections
        limits = configuration.settings.server
        accept = TlsHandshakes(connections, self.tls.context) if self.tls is not None else connections
        listener = Listener(accept, lambda: connections.has_room)
        self._listeners.append(listener)
        problems: list[str] = []
        try:
            self.port = await listener.open(
                limits.host, limits.port, _keys(configuration, "server"), reuse_port=limits.reuse_port
            )
        except ConfigError as error:
            problems += error.problems
        try:
            await self.audiosocket.listen()
        except ConfigError as error:
            problems += error.problems
        finally:
            self._listeners += self.audiosocket.listeners
        if problems:
            raise ConfigError(problems)

    async def _listen_for_admin(self) -> int:
        """Answer on the admin port; the port."""
        configuration = self.engine.configuration
        settings = configuration.settings.admin
        self._admin, accept = await self.admin.run()
        listener = Listener(accept)
        self._listeners.append(listener)
        return await listener.open(settings.host, settings.port, _keys(configuration, "admin"))


def _keys(configuration: Configuration, table: str) -> Keys:
    settings, where = configuration.settings, configuration.where
    return Keys(*(f"{settings.source(where, (table, key))}: {table}.{key}" for key in ("host", "port")))


async def serve(
    settings: Settings,
    problems: Sequence[str],
    source: Source,
    progress: Progress = lambda done, total: None,
    listening: Callable[[Server], None] = lambda server: None,
    *,
    follow_handlers: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, drain, return. A second signal ends the process at once.

    SIGHUP, or a change of the source's file, loads the settings anew, and handlers' modules that have changed;
    to `follow_handlers`, so does a change of those. SIGHUP because our terminal is gone is SIGTERM.
    `listening` is called once calls are taken.
    ConfigError tells all that is wrong, with the settings and with the prompts.
    """
    stopping, reloading = asyncio.Event(), asyncio.Event()
    _heed_signals(stopping, reloading)
    raise_descriptor_limit(settings.server.max_streams)
    server = Server(settings, source.name, problems)
    reloader = Reloader(server.engine, source, server.tls)
    running: list[asyncio.Task[None]] = []
    try:
        running.append(starting := asyncio.create_task(server.start(progress)))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return
        await starting
        listening(server)
        server.engine.watch()
        running.append(asyncio.create_task(reloader.run(reloading)))
        if follow_handlers:
            running.append(asyncio.create_task(watch_handlers(reloading)))
        await stop
        if not await server.drain():
            streams = [session.stream.id for session in server.engine.streams]
            log.error("handlers do not let their streams end", streams=streams)
            os._exit(EXIT_UNCLEAN)
        log.info("drained", cut=server.engine.streams.cut)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await server.close()


def _heed_signals(stopping: asyncio.Event, reloading: asyncio.Event) -> None:
    """Have signals set these, from now on."""

    def on_signal() -> None:
        if stopping.is_set():
            log.warning("ended at once by a second signal")
            os._exit(EXIT_UNCLEAN)
        stopping.set()

    terminal = Terminal()

    def on_hangup() -> None:
        if not terminal.gone:
            reloading.set()
        elif not stopping.is_set():  # the kernel and the shell may both say it
            terminal.let_go()
            log.info("the terminal is gone")
            stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
