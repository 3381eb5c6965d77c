"""One server and one browser for all tests of this folder. A test fails if the browser logs an error in it."""

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import ConsoleMessage, Error, Page, ViewportSize, async_playwright, expect

from mediaserver.client.simulator import SimulatedCall, simulate
from tests.server.process import ServerProcess, get, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, TIMEOUT, eventually

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Every frame of a prompt differs from all others, so that what was heard names the frame.
SHORT = np.repeat(np.arange(1, 6, dtype=np.int16) * -1000, 160)
LONG = np.repeat(np.arange(1, 1001, dtype=np.int16) * 8, 160)
CONFIG = """
token = "of-the-admin"
recordings = [RECORDINGS]
[admin.tokens.reader]
token = "of-the-reader"
[prompts]
editable = true
[speech]
engine = "command"
timeout = [TIMEOUT]
[speech.command]
program = [PROGRAM]
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
[paths."/record"]
handler = "record"
directory = [RECORDINGS]
[paths."/echo"]
handler = "echo"
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
timeout = 60
on_timeout = { menu = "main" }
"""
# A TTS engine: a frame of alternating samples for each letter of the text.
SPEAK = """
import sys, wave
with wave.open(sys.argv[2], "wb") as sound:
    sound.setparams((1, 2, 8000, 0, "NONE", ""))
    for letter in sys.argv[1].encode():
        sound.writeframes(bytes((0, letter, 0, 256 - letter)) * 80)
"""
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
# Has the console find a token that was typed before: that of the URL's query, once.
TYPED = """{
    const token = new URLSearchParams(location.search).get("token");
    if (token !== null && sessionStorage.getItem("typed") !== token) {
        sessionStorage.setItem("mediaserver.token", token);
        sessionStorage.setItem("typed", token);
    }
}"""
# Notes what the page has the browser play: when, and the samples of the last channel.
NOTED = """() => {
    const start = window.startSource ??= AudioBufferSourceNode.prototype.start;
    window.played = [];
    AudioBufferSourceNode.prototype.start = function (when) {
        const last = this.buffer.getChannelData(this.buffer.numberOfChannels - 1);
        window.played.push([when, Array.from(last, (sample) => Math.round(sample * 32768))]);
        start.call(this, when);
    };
}"""
OpenPage = Callable[..., Awaitable[Page]]

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("console")
    program = [sys.executable, "-c", SPEAK, "{text}", "{file}"]
    recordings = json.dumps(str(folder / "recordings"))
    text = CONFIG.replace("[TIMEOUT]", f"{TIMEOUT}")
    text = text.replace("[PROGRAM]", json.dumps(program)).replace("[RECORDINGS]", recordings)
    config = write_config(folder, text)
    write_wav(folder / "prompts" / "short.wav", SHORT)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "<b>bold.wav", SHORT)
    with serving(config) as server:
        yield server


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def tab() -> AsyncIterator[Page]:
    """One tab of a real browser, for all tests of this folder, because a new one for each would cost a lot."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: {', '.join(BROWSERS)}")
    async with async_playwright() as playwright:
        options: dict[str, Any] = {
            "executable_path": found,
            # A microphone that beeps, which nobody has to allow.
            "args": [
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
            "timeout": PATIENCE * 1000,
        }
        browser = await playwright.chromium.launch(**options)
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        await page.add_init_script(TYPED)
        yield page
        await browser.close()


@pytest_asyncio.fixture(loop_scope="package")
async def open_page(server: ServerProcess, tab: Page) -> AsyncIterator[OpenPage]:
    """Opens a page of the console, with a token of the server, "" for none.

    The browser may log no error, such as of the Content-Security-Policy, but for answers of a status in `refused`,
    and for those about a stream that has ended before the page knew.

    Where the test before has used the same token, only the route changes, and nothing is loaded again.
    """
    errors: list[str] = []
    expected: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        ended = "streams/" in message.location["url"] and "status of 404" in message.text
        known = ended or any(text in message.text for text in expected)
        if message.type in ("error", "warning") and not known:
            errors.append(f"{message.text} {message.location}")

    def on_error(error: Error) -> None:
        errors.append(str(error))

    async def open_page(
        route: str, by: str = "admin", refused: Sequence[int] = (), viewport: ViewportSize = WIDE
    ) -> Page:
        expected.extend(f"responded with a status of {status} " for status in refused)
        await tab.set_viewport_size(viewport)
        token = by and f"of-the-{by}"
        await tab.goto(server.admin_url(f"/?token={token}#/{route}"))
        return tab

    tab.on("console", on_console)
    tab.on("pageerror", on_error)
    yield open_page
    if "#" in tab.url:
        await tab.goto(f"{tab.url.partition('#')[0]}#/health/-")  # no page asks for a stream of this test any more
    tab.remove_listener("console", on_console)
    tab.remove_listener("pageerror", on_error)
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
