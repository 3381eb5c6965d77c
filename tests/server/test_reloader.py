"""A change while a configuration is read is not missed, in whatever order files are read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from mediaserver import config
from mediaserver.runtime.engine import Engine
from mediaserver.server import reload
from mediaserver.server.reload import ConfigSource, Reloader
from tests.timing import eventually

# A handler that is loaded behind the path with the token: it changes the token when it is loaded for the nth time.
HANDLER = """
import pathlib
from mediaserver.handlers import Handler

class Late(Handler):
    place: str

    def prepare(self, speech):
        times = pathlib.Path(self.place, "times")
        left = int(times.read_text())
        times.write_text(str(left - 1))
        if left == 1:
            pathlib.Path(self.place, "token").write_text("second")

    async def run(self, call): ...
"""
SERVER = '[prompts]\ndirectory = "."\ncache = "off"\n'
BEFORE = f'{SERVER}[paths."/old"]\nhandler = "silence"\n'
AFTER = (
    f'{SERVER}[paths."/new"]\nhandler = "silence"\ntokens = ["file:{{place}}/token"]\n'
    '[paths."/late"]\nhandler = "late_of_reload:Late"\nplace = "{place}"\n'
)


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    (tmp_path / "late_of_reload.py").write_text(HANDLER)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "token").write_text("first")
    (tmp_path / "c.toml").write_text(BEFORE)
    settings, _ = config.load(tmp_path / "c.toml")
    made = Engine(settings, "c.toml")
    await made.load()
    yield made
    await made.close()


def reloader(engine: Engine, place: Path, times: int) -> Reloader:
    """A reloader whose new configuration names a token's file, which changes at the nth read."""
    file = place / "c.toml"
    made = Reloader(engine, ConfigSource("c.toml", lambda: config.load(file), file), None)
    (place / "times").write_text(str(times))
    file.write_text(AFTER.format(place=place))
    return made


async def tokens(engine: Engine) -> tuple[str, ...]:
    route, _ = await engine.table.match_route(URL("/new"))
    return route.access.tokens


async def test_a_file_that_only_the_new_configuration_names_and_that_changes_once_read_is_read_again(
    engine: Engine, tmp_path: Path
) -> None:
    await reloader(engine, tmp_path, 1).reload()
    assert (tmp_path / "times").read_text() == "-1"  # it was read twice
    assert await tokens(engine) == ("second",)


async def test_a_file_that_changes_after_its_last_read_is_read_by_the_next_reload(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_POLL_INTERVAL", 0.01)
    watching = reloader(engine, tmp_path, 2)
    await watching.reload()
    taken = engine.configuration
    assert await tokens(engine) == ("first",)
    assert (tmp_path / "token").read_text() == "second"
    running = asyncio.create_task(watching.run(asyncio.Event()))
    try:
        await eventually(lambda: engine.configuration is not taken)
    finally:
        running.cancel()
        await asyncio.wait((running,))
    assert await tokens(engine) == ("second",)


async def test_a_shutdown_together_with_a_request_to_reload_ends_it(engine: Engine, tmp_path: Path) -> None:
    """On Python 3.11, `asyncio.wait_for` loses a cancellation that comes together with what it waits for."""
    file, read, requested = tmp_path / "c.toml", list[Path](), asyncio.Event()

    def load() -> tuple[config.Settings, list[str]]:
        read.append(file)
        return config.load(file)

    polling = Reloader(engine, ConfigSource("c.toml", load, file), None)
    running = asyncio.create_task(polling.run(requested))
    for _ in range(5):
        await asyncio.sleep(0)  # until it waits for a request
    assert asyncio.all_tasks() == {asyncio.current_task(), running}  # as many as when it looks at the files
    requested.set()
    await asyncio.sleep(0)
    running.cancel()
    await eventually(lambda: running.done() or read)
    assert running.cancelled()
