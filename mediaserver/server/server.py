"""The lifecycle of the server: start, serve, reload, drain, shutdown."""

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
from mediaserver.runtime.disk_caches import MEGABYTE
from mediaserver.runtime.engine import Engine
from mediaserver.server import signals
from mediaserver.server.admin.endpoint import AdminEndpoint
from mediaserver.server.audiosocket import AudioSocketEndpoint
from mediaserver.server.flows import FlowEndpoint
from mediaserver.server.garbage_collection import GarbageCollector
from mediaserver.server.http import tls
from mediaserver.server.http.descriptors import raise_descriptor_limit
from mediaserver.server.http.listener import AddressKeys, Listener
from mediaserver.server.http.media import MediaEndpoint
from mediaserver.server.http.tls_handshake import TlsHandshakeFactory
from mediaserver.server.reload import ConfigSource, Reloader, watch_handlers
from mediaserver.server.terminal import Terminal
from mediaserver.transport.connection import CLOSE_TIMEOUT

_GRACE = 2.0  # seconds that a stream gets to end once its peer's time to answer the close is over
_HANDSHAKE_TIMEOUT = 1.0  # seconds that handshakes in progress may still take once we stop listening
EXIT_UNCLEAN = 1  # exit code if streams do not end, or after a second signal

log = structlog.get_logger()


class Server:
    """One media server: an `Engine`, which runs the streams, and the listeners of its media and admin ports."""

    def __init__(self, settings: Settings, where: str, problems: Sequence[str] = ()) -> None:
        self._why_closed = "starting"  # why the server takes no calls, such as "draining"; "" while it takes calls
        self.tls, tls_problems = tls.load(settings, where)
        self.engine = Engine(settings, where, [*problems, *tls_problems])
        self.endpoint = MediaEndpoint(self.engine)
        self.audiosocket = AudioSocketEndpoint(self.engine, self.endpoint.connections)
        self.attacher = Attacher(self.engine)
        self.flows = FlowEndpoint(self.engine, self.endpoint.connections, self.attacher)
        self.admin = AdminEndpoint(
            self.engine, self.endpoint, self.attacher, lambda: self._why_closed, lambda: self._why_not_ready
        )
        self._garbage_collector = GarbageCollector(lambda: len(self.engine.streams))
        self._admin_runner: web.AppRunner | None = None
        self._listeners: list[Listener] = []  # the admin port's listener first, then the media ports' listeners
        metrics, connections = self.engine.metrics, self.endpoint.connections
        metrics.gauge(
            "ready",
            "1 if the server takes calls and all paths can serve them, as /readyz tells, else 0",
            lambda: not self._why_not_ready,
        )
        metrics.gauge(
            "certificate_expiry_timestamp_seconds",
            "Unix time at which the TLS certificate expires, 0 without a certificate",
            lambda: self.tls.expires if self.tls is not None else 0,
        )
        metrics.gauge("connections", "Open connections of the media ports", lambda: len(connections))
        metrics.gauge("admin_connections", "Open connections of the admin port", lambda: self.admin.connections)
        metrics.gauge(
            "handshakes",
            "Connections of the media ports that are in their handshake",
            lambda: connections.handshakes_in_progress,
        )

    async def start(self, progress: Progress = lambda done, total: None) -> None:
        """Listen on the admin port, decode the prompts, check that no path lacks a prompt, then listen for calls.

        ConfigError if the configuration is wrong, a path's prompt is missing or broken, or a port is not free.
        """
        configuration, library = self.engine.configuration, self.engine.library
        settings = configuration.settings
        try:
            self.admin_port = await self._listen_for_admin()
        except ConfigError as error:
            problems = [*configuration.problems, *error.problems]
            try:
                await self._listen_for_media()  # only to find the media ports' problems, too
            except ConfigError as others:
                problems += others.problems
            raise ConfigError(problems) from error
        await self.engine.load(progress)
        await self._listen_for_media()
        self._garbage_collector.start()
        self._why_closed = ""
        if self.tls is not None:
            self.tls.log_expiry()
        served = {route.pattern for route in configuration.table} - configuration.paths_without_prompts(library)
        log.info(
            "listening",
            version=__version__,
            host=settings.server.host,
            port=self.port,
            tls=self.tls is not None,
            admin=f"{settings.admin.host}:{self.admin_port}",
            **({"audiosocket": self.audiosocket.paths} if self.audiosocket.bound else {}),
            **({"flows": self.flows.port} if self.flows.port else {}),
            paths=len(served),
            open_paths=len(served & set(configuration.table.open_paths)),  # number of paths that anybody may call
            prompts=len(library.prompts),
            cached_mb=round(library.store.cache.bytes / MEGABYTE, 1),
        )

    @property
    def _why_not_ready(self) -> str:
        """Why no calls should be sent to this server, such as "draining"; "" if the server is ready."""
        return self._why_closed or self.engine.why_not_ready

    async def drain(self) -> bool:
        """Stop listening, give streams `server.drain_timeout` seconds to end, and close those that still run.

        Connections whose handshake is in progress still become streams. Returns True if all streams have ended.
        """
        self._why_closed = "draining"
        for listener in self._listeners[1:]:
            await listener.close()
        await self.endpoint.connections.wait_for_handshakes(_HANDSHAKE_TIMEOUT)
        timeout = self.engine.settings.server.drain_timeout
        return await self.engine.streams.drain(timeout, CLOSE_TIMEOUT + _GRACE)

    async def close(self) -> None:
        """Close all listeners and connections, and then all else that the server runs."""
        self._garbage_collector.stop()
        for listener in self._listeners:
            await listener.close()
        await self.flows.close()
        await self.endpoint.connections.shutdown(1.0)
        if self._admin_runner is not None:
            await self._admin_runner.cleanup()
        await self.attacher.close()
        await self.engine.close()

    async def _listen_for_media(self) -> None:
        """Listen for WebSockets and for AudioSocket; ConfigError names all ports that cannot be listened on."""
        configuration, connections = self.engine.configuration, self.endpoint.connections
        limits = configuration.settings.server
        factory: Callable[[], asyncio.Protocol] = connections
        if self.tls is not None:
            factory = TlsHandshakeFactory(connections, self.tls.context, self.engine.held_writes)
        listener = Listener(factory, lambda: connections.has_room)
        self._listeners.append(listener)
        problems: list[str] = []
        try:
            self.port = await listener.open(
                limits.host, limits.port, _address_keys(configuration, "server"), reuse_port=limits.reuse_port
            )
        except ConfigError as error:
            problems += error.problems
        try:
            await self.audiosocket.listen()
        except ConfigError as error:
            problems += error.problems
        finally:
            self._listeners += self.audiosocket.listeners
        try:
            await self.flows.listen()
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)

    async def _listen_for_admin(self) -> int:
        """Listen on the admin port, and return its number."""
        configuration = self.engine.configuration
        settings = configuration.settings.admin
        self._admin_runner, factory = await self.admin.run()
        listener = Listener(factory)
        self._listeners.append(listener)
        return await listener.open(settings.host, settings.port, _address_keys(configuration, "admin"))


def _address_keys(configuration: Configuration, table: str) -> AddressKeys:
    settings, where = configuration.settings, configuration.where
    return AddressKeys(*(f"{settings.source(where, (table, key))}: {table}.{key}" for key in ("host", "port")))


async def serve(
    settings: Settings,
    problems: Sequence[str],
    source: ConfigSource,
    progress: Progress = lambda done, total: None,
    on_listening: Callable[[Server], None] = lambda server: None,
    *,
    follow_handlers: bool = False,
) -> None:
    """Serve calls until SIGTERM or SIGINT, then drain, and return. A second signal ends the process at once.

    SIGHUP, or a changed configuration file, reloads the settings and those modules of users' handlers that have
    changed. With `follow_handlers`, a changed module of users' handlers causes a reload, too. A SIGHUP that
    reports that our terminal is closed counts as SIGTERM. `on_listening` is called once the server takes calls.
    ConfigError lists all problems with settings and prompts.
    """
    stopping, reloading = asyncio.Event(), asyncio.Event()
    with signals.handling(_signal_handlers(stopping, reloading)):
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
            on_listening(server)
            server.engine.prompts.start_watching()
            running.append(asyncio.create_task(reloader.run(reloading)))
            if follow_handlers:
                running.append(asyncio.create_task(watch_handlers(reloading)))
            await stop
            if not await server.drain():
                stuck = [session.stream for session in server.engine.streams]
                streams, paths = [stream.id for stream in stuck], sorted({stream.path for stream in stuck})
                log.error("handlers stuck after drain", streams=streams, paths=paths)
                os._exit(EXIT_UNCLEAN)
            log.info("drained", cut=server.engine.streams.closed_by_drain)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await server.close()


def _signal_handlers(
    stopping: asyncio.Event, reloading: asyncio.Event
) -> dict[signal.Signals, Callable[[], None]]:
    """Return handlers of signals: SIGTERM and SIGINT set `stopping`, and SIGHUP sets `reloading`."""

    def on_signal() -> None:
        if stopping.is_set():
            log.warning("stopped by second signal")
            os._exit(EXIT_UNCLEAN)
        stopping.set()

    terminal = Terminal()

    def on_hangup() -> None:
        if not terminal.is_gone:
            reloading.set()
        elif not stopping.is_set():  # the kernel and the shell may each send SIGHUP; the second has no effect
            terminal.detach()
            log.info("terminal closed")
            stopping.set()

    return {signal.SIGTERM: on_signal, signal.SIGINT: on_signal, signal.SIGHUP: on_hangup}
