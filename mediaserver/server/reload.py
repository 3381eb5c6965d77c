"""A changed configuration is taken in while calls go on: all of it, or nothing of it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import structlog
import watchfiles

from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError, plainly
from mediaserver.handlers.common import user_modules
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.engine import Engine
from mediaserver.server.http import tls
from mediaserver.server.http.descriptors import raise_descriptor_limit
from mediaserver.server.http.tls import Tls
from mediaserver.support import log as logging

_POLL = 1.0  # seconds between looks at the files; a change is taken in when it was the same at two of them
_TOGETHER_MS, _LOOK_MS = 200, 1000  # of handlers' modules: changes that come together; between looks
Signature = dict[Path, tuple[int, int, int] | None]

log = structlog.get_logger()


class Source(NamedTuple):
    """Where a configuration is from: its name in messages, how to have it with what is wrong with it, its file."""

    name: str
    load: Callable[[], tuple[Settings, list[str]]]
    file: Path | None


class Reloader:
    """Watches the files that a configuration is made of; links are followed, as Kubernetes switches them."""

    def __init__(self, engine: Engine, source: Source, used_tls: Tls | None) -> None:
        self._engine, self._source, self._tls = engine, source, used_tls
        self._files = engine.configuration.files
        self._used = self._signatures()  # before the start takes its time: what changes meanwhile is not missed

    async def run(self, asked: asyncio.Event) -> None:
        """Reload when asked to, and when a file has changed and is at rest again; until cancelled."""
        before = self._used
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), _POLL)
            requested, now = asked.is_set(), await self._look()
            asked.clear()  # who asks during the reload is heard after it
            if requested or (now != self._used and now == before):
                await self._reload(prompts=requested)
            before = now

    async def _reload(self, *, prompts: bool) -> None:
        """Reload whatever happens: the next one may go better."""
        try:
            if prompts:
                await self._engine.look()
            await self.reload()
        except Exception:
            self._engine.metrics.reloads.labels("failed").inc()
            log.exception("reloading failed")

    async def reload(self) -> None:
        """Take in what the files hold now, or say what is wrong with it and go on as before."""
        engine = self._engine
        try:
            with user_modules.renewed() as modules:
                configuration = await asyncio.to_thread(self._build)
                if problems := engine.objections(configuration):
                    raise ConfigError(problems)
                if self._tls is not None:
                    self._tls.renew(configuration.settings.tls, configuration.where)
                    self._tls.tell()
                engine.use(configuration)
        except ConfigError as error:
            engine.metrics.reloads.labels("failed").inc()
            engine.configuration_current = False
            for problem in error.problems:
                log.error("configuration not taken in", why=problem)
            return
        engine.configuration_current = True
        settings = configuration.settings
        raise_descriptor_limit(settings.server.max_streams)
        logging.configure(settings.log.level, settings.log.format)
        engine.metrics.reloads.labels("ok").inc()
        log.info(
            "configuration taken in", paths=len(configuration.table), **({"modules": modules} if modules else {})
        )

    def _build(self) -> Configuration:
        """In a thread: reading files, building routes and importing handlers takes its time.

        The files are looked at before they are read, so that what changes meanwhile is not missed. Which ones it
        names is only known then: where there are new ones, all is read again.
        """
        self._used = self._signatures()
        configuration = self._load()
        if not set(configuration.files) <= set(self._files):
            self._files = configuration.files
            self._used = self._signatures()
            configuration = self._load()
        self._files = configuration.files  # it may want one that comes later
        self._used = {file: seen for file, seen in self._used.items() if file in self._watched}
        return configuration

    def _load(self) -> Configuration:
        settings, problems = self._source.load()
        where = self._source.name
        _, wrong = tls.load(settings, where)  # tried out before anything is changed
        return Configuration.build(settings, where, [*problems, *wrong])

    async def _look(self) -> Signature:
        return await asyncio.to_thread(self._signatures)

    @property
    def _watched(self) -> list[Path]:
        return [*([self._source.file] if self._source.file is not None else []), *self._files]

    def _signatures(self) -> Signature:
        return {file: _stat(file) for file in self._watched}


async def watch_handlers(changed: asyncio.Event) -> None:
    """Tell of changes of the modules that handlers are in, and of others beside them; until cancelled."""
    known: user_modules.State = {}  # what it was when it was told, or imported
    trouble = ""
    while True:
        folders = user_modules.folders()
        try:
            async for told in _changes(folders):
                now = await asyncio.to_thread(user_modules.state)
                if told or now != (known or user_modules.imported()):  # some file systems do not tell
                    changed.set()
                known = now
                if user_modules.folders() != folders:
                    break
        except Exception as error:  # the system's limit of watches, or a folder is gone
            if plainly(error) != trouble:
                log.warning("handlers cannot be watched", folders=sorted(map(str, folders)), why=plainly(error))
            trouble = plainly(error)
            await asyncio.sleep(_POLL)


async def _changes(folders: set[Path]) -> AsyncIterator[bool]:
    """Whether there were changes below these folders, again and again."""
    if not folders:
        await asyncio.sleep(_POLL)
        yield False
        return
    log.info("watching handlers", folders=sorted(map(str, folders)))
    async for changes in watchfiles.awatch(
        *folders,
        watch_filter=watchfiles.PythonFilter(),
        debounce=_TOGETHER_MS,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    ):
        yield bool(changes)


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116
    except (OSError, ValueError):  # no path at all, by its characters
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
