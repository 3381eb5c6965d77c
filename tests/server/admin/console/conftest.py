"""One server and one browser for all tests of a module. A test fails if its pages log an error in the browser."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from mediaserver.client.simulator import SimulatedCall, simulate
from tests.server.process import ServerProcess, get, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, eventually

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Every frame of a prompt differs from all others, so that what was heard names the frame.
SHORT = np.repeat(np.arange(1, 6, dtype=np.int16) * -1000, 160)
LONG = np.repeat(np.arange(1, 1001, dtype=np.int16) * 8, 160)
CONFIG = """
token = "of-the-admin"
[admin.tokens.reader]
token = "of-the-reader"
[defaults]
framing = "pcm"
lead = 0
[paths."/silence"]
handler = "silence"
[paths."/keys"]
handler = "analyse"
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
[paths."/menu"]
handler = "menu"
tokens = ["of-a-caller"]
[paths."/menu".menus.main]
play = "long"
keys.1 = { menu = "sales" }
keys.7 = { play = "short", hangup = true }
[paths."/menu".menus.sales]
play = "short"
keys.9 = { menu = "main" }
on_timeout = { menu = "main" }
"""
NARROW = {"width": 390, "height": 844}
OpenPage = Callable[..., Awaitable[Page]]

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("console")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "short.wav", SHORT)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "<b>bold.wav", SHORT)
    with serving(config) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: {', '.join(BROWSERS)}")
    async with async_playwright() as playwright:
        options: dict[str, Any] = {"executable_path": found, "args": ["--no-sandbox"], "timeout": PATIENCE * 1000}
        browser = await playwright.chromium.launch(**options)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(server: ServerProcess, browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens a page of the console, with a token of the server, "" for none.

    The browser may log no error, such as of the Content-Security-Policy, but for answers of a status in `refused`.
    """
    errors: list[str] = []
    contexts = []

    async def open_page(route: str, by: str = "admin", refused: Sequence[int] = (), **options: Any) -> Page:
        def note(message: ConsoleMessage) -> None:
            expected = any(
                f"the server responded with a status of {status} " in message.text for status in refused
            )
            if message.type in ("error", "warning") and not expected:
                errors.append(f"{message.text} {message.location}")

        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        if by:
            await context.add_init_script(f"sessionStorage.setItem('mediaserver.token', 'of-the-{by}')")
        page = await context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(server.admin_url(f"/#/{route}"))
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert errors == []


async def ask(server: ServerProcess, path: str) -> Any:
    status, text = await get(server.admin_url(path), headers={"Authorization": "Bearer of-the-admin"})
    assert status == 200, text
    return json.loads(text)


@contextlib.asynccontextmanager
async def calling(server: ServerProcess, path: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A call by the project's own client, once it has heard something: its stream's id, and the frames heard."""
    before = {stream["id"] for stream in (await ask(server, "/v1/streams"))["streams"]}
    heard: list[bytes] = []
    over = asyncio.Event()
    call = SimulatedCall(server.url(path))
    task = asyncio.ensure_future(simulate(call, lambda pcm, _: heard.append(pcm), over))
    await eventually(lambda: bool(heard) or task.done())
    (stream,) = [
        stream["id"] for stream in (await ask(server, "/v1/streams"))["streams"] if stream["id"] not in before
    ]
    try:
        yield stream, heard
    finally:
        over.set()
        await asyncio.wait_for(task, PATIENCE)
