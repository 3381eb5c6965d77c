"""The bots to begin with do what they say."""

import asyncio
import contextlib
import importlib.util
import runpy
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.bridge.test_bridge import MULAW, SPEECH, Lab, lab
from tests.call.caller import digits
from tests.project import ROOT
from tests.timing import eventually

__all__ = ["lab"]
EXAMPLES = ROOT / "examples"


@contextlib.asynccontextmanager
async def running(example: str, port: int) -> AsyncIterator[None]:
    """An example's application, on a port."""
    specification = importlib.util.spec_from_file_location(example, EXAMPLES / f"{example}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    runner = web.AppRunner(module.app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("example", "path", "heard"),
    [("twilio_bot", "/twilio/any", MULAW), ("pcm_bot", "/pcm/any", SPEECH)],
)
async def test_an_example_echoes(lab: Lab, example: str, path: str, heard: bytes) -> None:
    await lab.bots.stop()
    async with running(example, lab.bots.port), lab.call(path) as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(SPEECH)
        await caller.wait_received(heard)
        if example == "pcm_bot":
            await caller.send(digits("0"))
            assert await caller.wait_closed() == 1000
    await asyncio.sleep(0)


@pytest.mark.parametrize("example", [file.name for file in EXAMPLES.glob("*_bot.py")])
def test_an_example_is_reached_by_this_machine_only(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[dict[str, object]] = []
    monkeypatch.setattr(web, "run_app", lambda app, **how: run.append(how))
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    assert run == [{"host": "127.0.0.1", "port": 8765}]
