"""A server in the process of the tests, for those that look into it or hold up its event loop."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from mediaserver import config
from mediaserver.server.server import Server
from tests.server.process import write_config


@contextlib.asynccontextmanager
async def running(folder: Path, paths: str) -> AsyncIterator[Server]:
    """A server that has started, with this text behind the free ports of its configuration."""
    settings, problems = config.load(write_config(folder, paths))
    server = Server(settings, "config.toml", problems)
    try:
        await server.start()
        yield server
    finally:
        await server.close()
