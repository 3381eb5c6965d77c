"""Reloads a changed configuration while calls go on. Either all of the configuration is applied, or none of it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog
import watchfiles

from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError, error_text
from mediaserver.handlers.common import user_modules
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.engine import Engine
from mediaserver.server.http import tls
from mediaserver.server.http.descriptors import raise_descriptor_limit
from mediaserver.server.http.tls import Tls
from mediaserver.support import log as logging

_POLL_INTERVAL = 1.0  # seconds between polls; a changed file is loaded once two polls find it the same
# Milliseconds for which changes of files are gathered into one; milliseconds to wait for a change.
_DEBOUNCE_MS, _WATCH_TIMEOUT_MS = 200, 1000
FileSignatures = dict[Path, tuple[int, int, int] | None]

log = structlog.get_logger()


class ConfigSource(NamedTuple):
    """Where a configuration comes from, and how it is loaded again."""

    name: str  # the name of the source in messages: the file's path, or "defaults"
    load: Callable[[], tuple[Settings, list[str]]]  # a function that returns the settings, and all their problems
    file: Path | None  # None if settings come only from environment variables and defaults


class Rejection(NamedTuple):
    """Why a configuration was rejected, and with which prompts."""

    prompts: Mapping[str, Prompt]
    problems: Sequence[str]


class Reloader:
    """Polls the files that a configuration is read from, and reloads the configuration when they change.

    Symbolic links are followed, because Kubernetes updates a mounted file by changing a link.
    """

    def __init__(self, engine: Engine, source: ConfigSource, used_tls: Tls | None) -> None:
        self._engine, self._source, self._tls = engine, source, used_tls
        self._files = engine.configuration.files
        # Signatures are taken before the server starts, so that no change during the start is missed.
        self._loaded = self._signatures()
        # How the present configuration was rejected; None if it was not. With other prompts, it may be right, as
        # when it names a prompt that is copied after it.
        self._rejection: Rejection | None = None

    async def run(self, requested: asyncio.Event) -> None:
        """Until cancelled, reload when `requested` is set, or when two polls find the same change of a file.

        A configuration that was rejected is also loaded again when prompts have changed.
        """
        before = self._loaded
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_INTERVAL):
                    await requested.wait()
            is_requested, now = requested.is_set(), await asyncio.to_thread(self._signatures)
            requested.clear()  # cleared before the reload, so that a request during the reload causes another
            is_changed = now != self._loaded and now == before
            if is_requested or is_changed:
                self._rejection = None
                await self._reload(prompts=is_requested)
            elif self._rejection is not None and self._rejection.prompts is not self._engine.library.prompts:
                await self._reload(prompts=False)
            before = now

    async def _reload(self, *, prompts: bool) -> None:
        """Reload the configuration; with `prompts`, read the prompt folder first. Failures are only logged."""
        try:
            if prompts:
                await self._engine.prompts.refresh()
            await self.reload()
        except Exception:
            self._engine.metrics.reloads.labels("failed").inc()
            self._engine.reloads.add(["internal error: see the server's log"])
            log.exception("reload failed")

    async def reload(self) -> None:
        """Apply the configuration that the files hold now. If it has problems, log them, and keep the old one.

        Problems for which it was rejected before, with other prompts, are not told again.
        """
        engine, told, self._rejection = self._engine, self._rejection, None
        try:
            with user_modules.reimported() as modules:
                configuration = await asyncio.to_thread(self._build)
                if problems := engine.validate_configuration(configuration):
                    raise ConfigError(problems)
                if self._tls is not None:
                    self._tls.load_certificate(configuration.settings.tls, configuration.where)
                    self._tls.log_expiry()
                engine.apply_configuration(configuration)
        except ConfigError as error:
            self._rejection = Rejection(engine.library.prompts, error.problems)
            if told is not None and told.problems == error.problems:
                return
            engine.metrics.reloads.labels("failed").inc()
            engine.reloads.add(error.problems)
            for problem in error.problems:
                log.error("configuration rejected", why=problem)
            return
        engine.reloads.add()
        settings = configuration.settings
        raise_descriptor_limit(settings.server.max_streams)
        logging.configure(settings.log.level, settings.log.format)
        engine.metrics.reloads.labels("ok").inc()
        log.info(
            "configuration reloaded", paths=len(configuration.table), **({"modules": modules} if modules else {})
        )
        await engine.warn_of_unwritable_folders()  # last, as a disk may be slow to answer

    def _build(self) -> Configuration:
        """Read the configuration, in a thread, because reading files, building routes and importing modules take
        time.

        The files' signatures are taken before the files are read, so that a change meanwhile is not missed. Only
        the configuration itself tells which files it is read from. If it names new files, all files are read
        again.
        """
        self._loaded = self._signatures()
        configuration = self._load()
        if not set(configuration.files) <= set(self._files):
            self._files = configuration.files
            self._loaded = self._signatures()
            configuration = self._load()
        self._files = configuration.files  # files that do not exist are polled too, as they may be made later
        self._loaded = {file: signature for file, signature in self._loaded.items() if file in self._watched}
        return configuration

    def _load(self) -> Configuration:
        settings, problems = self._source.load()
        where = self._source.name
        _, tls_problems = tls.load(settings, where)  # finds an invalid certificate before any setting is applied
        return Configuration.build(settings, where, [*problems, *tls_problems])

    @property
    def _watched(self) -> list[Path]:
        return [*([self._source.file] if self._source.file is not None else []), *self._files]

    def _signatures(self) -> FileSignatures:
        return {file: _signature(file) for file in self._watched}


async def watch_handlers(changed: asyncio.Event) -> None:
    """Until cancelled, set `changed` whenever a module of users' handlers, or a module beside it, has changed."""
    known: user_modules.FileStates = {}  # the states of the files at the last check
    logged = ""
    while True:
        folders = user_modules.source_folders()
        try:
            async for is_notified in _watch_folders(folders):
                now = await asyncio.to_thread(user_modules.current_files)
                if is_notified or now != (
                    known or user_modules.imported_files()
                ):  # the files are compared as well, because some file systems send no notifications
                    changed.set()
                known = now
                if user_modules.source_folders() != folders:
                    break
        except Exception as error:  # watching fails, for example, if inotify has no more watches
            if error_text(error) != logged:
                log.warning("handler watch failed", folders=sorted(map(str, folders)), why=error_text(error))
            logged = error_text(error)
            await asyncio.sleep(_POLL_INTERVAL)


async def _watch_folders(folders: set[Path]) -> AsyncIterator[bool]:
    """Yield about once a second whether the operating system has reported a change below these folders."""
    if not folders:
        await asyncio.sleep(_POLL_INTERVAL)
        yield False
        return
    log.info("watching handlers", folders=sorted(map(str, folders)))
    async for changes in watchfiles.awatch(
        *folders,
        watch_filter=watchfiles.PythonFilter(),
        debounce=_DEBOUNCE_MS,
        rust_timeout=_WATCH_TIMEOUT_MS,
        yield_on_timeout=True,
    ):
        yield bool(changes)


def _signature(file: Path) -> tuple[int, int, int] | None:
    """Modification time in ns, size and inode of a file; None if it cannot be read."""
    try:
        found = os.stat(file)  # noqa: PTH116
    except (OSError, ValueError):  # ValueError: the path has a NUL in it
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
