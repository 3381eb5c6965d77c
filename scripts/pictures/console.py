"""Pictures of the console, taken in a real browser from a running server with calls in progress.

    python -m scripts.pictures.console

The script needs a Chromium or Chrome in PATH. The calls are real ones. Figures that would differ from run to run,
such as durations, are replaced in the server's answers on their way to the page.
"""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from playwright.async_api import Page, Route, WebSocketRoute, async_playwright

from mediaserver.client.simulator import SimulatedCall, simulate
from mediaserver.server.admin.live.overview import COLUMNS
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.timing import eventually

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH = 1120
HEIGHTS = {"live": 460, "stream": 940}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = {f"console-{name}-{scheme}" for name in HEIGHTS for scheme in SCHEMES}
_CONFIG = """
[defaults]
framing = "pcm"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "welcome"
timeout = 60
keys.1 = { menu = "bookings" }
keys.2 = { play = "beep", record = true, hangup = true }
keys.9 = { webhook = "https://flows.example.com/operator" }
[paths."/menu".menus.bookings]
play = "welcome"
timeout = 60
collect = { max = 6 }
then = { webhook = "https://flows.example.com/bookings" }
keys."*" = { menu = "main" }
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
[paths."/assistant"]
handler = "analyse"
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
repeat = 100
"""
# The calls by VoIPBIN's id of the call: path and query, and the figures that the pictures show for the call.
CALLS = {
    "b1f0c7": ("/menu?customer=Ada%20Lovelace&language=en", {"peer": "10.20.0.14:50412", "duration_s": 94.2}),
    "77ab02": ("/hold?queue=sales", {"peer": "10.20.0.15:41770", "duration_s": 412.0}),
    "0e41d9": ("/hold?queue=support", {"peer": "10.20.0.14:50398", "duration_s": 37.5}),
    "c3998e": ("/assistant?customer=Grace%20Hopper", {"peer": "10.20.0.16:38112", "duration_s": 151.8}),
    "5d20aa": ("/play/music/drift", {"peer": "10.20.0.15:41802", "duration_s": 12.4}),
    "91c4f7": ("/hold?queue=sales", {"peer": "10.20.0.16:38154", "duration_s": 1265.3}),
}
_NO_FAULTS = {"late": 0, "skipped": 0, "underruns": 0}


def fix_figures(stream: dict[str, Any]) -> dict[str, Any]:
    """A description of a stream in which figures that differ from run to run are replaced by fixed ones."""
    _, figures = CALLS[stream["call"]]
    return stream | figures | _NO_FAULTS | {"frames": round(50 * float(str(figures["duration_s"])))}


def fix_table(message: str) -> str:
    """A message of `/v1/overview`, whose rows have the same fixed figures."""
    table = json.loads(message)
    for row in table["rows"]:
        _, figures = CALLS[row[COLUMNS.index("call")]]
        row[COLUMNS.index("peer")], row[COLUMNS.index("late")] = figures["peer"], 0
        row[COLUMNS.index("began")] = table["now"] - float(str(figures["duration_s"]))
    return json.dumps(table)


def _fix_overview(socket: WebSocketRoute) -> None:
    socket.connect_to_server().on_message(lambda message: socket.send(fix_table(str(message))))


async def _fix_answer(route: Route) -> None:
    response = await route.fetch()
    answer = await response.json() if response.ok else {}
    await route.fulfill(json=fix_figures(answer))


@contextlib.asynccontextmanager
async def _calls(server: ServerProcess) -> AsyncIterator[None]:
    """Make all calls, and wait until each has received audio. The calls last for the `with` block."""
    heard: dict[str, int] = dict.fromkeys(CALLS, 0)
    over = asyncio.Event()

    async def make(call: str, path: str) -> None:
        def on_frame(pcm: bytes, at: float) -> None:
            heard[call] += 1

        joint = "&" if "?" in path else "?"
        await simulate(SimulatedCall(server.url(f"{path}{joint}call_id={call}")), on_frame, over)

    async with asyncio.TaskGroup() as group:
        for call, (path, _) in CALLS.items():
            group.create_task(make(call, path))
        await eventually(lambda: all(heard.values()))
        try:
            yield
        finally:
            over.set()


async def _take(page: Page, name: str, height: int) -> None:
    file = FOLDER / f"{name}.png"
    await page.evaluate("document.activeElement.blur()")
    await page.mouse.move(0, 0)
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.screenshot(path=file)
    print(f"docs/pictures/{name}.png: {file.stat().st_size / 1000:.0f} KB")


async def _act(server: ServerProcess, call: str) -> None:
    """Control the call whose page is pictured, so that its timeline shows several events."""
    async with client_session() as client:
        api = server.admin_url(f"/v1/streams/{call}")
        for method, path, body in (
            ("POST", "digits", {"digits": "1"}),
            ("PUT", "recording", {"paused": True}),
            ("PUT", "recording", {"paused": False}),
            ("POST", "play", {"play": "beep", "interrupt": True}),
        ):
            async with client.request(method, f"{api}/{path}", json=body) as response:
                response.raise_for_status()


async def main() -> None:
    """Take all pictures of the console, in its light and its dark colours."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"no browser in PATH: {', '.join(BROWSERS)}")
    with TemporaryDirectory() as folder:
        config = write_config(Path(folder), _CONFIG)
        shutil.copytree(ROOT / "prompts", config.parent / "prompts", dirs_exist_ok=True)
        with serving(config) as server:
            async with _calls(server), async_playwright() as playwright:
                chromium = await playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
                page = await chromium.new_page()
                await page.route(re.compile(r"/v1/streams/\w+$"), _fix_answer)
                await page.route_web_socket(re.compile("/v1/overview"), _fix_overview)
                await _act(server, "b1f0c7")
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    await page.goto(server.admin_url("/#/live"))
                    await page.locator("tbody a", has_text="/assistant").wait_for()
                    await _take(page, f"console-live-{scheme}", HEIGHTS["live"])
                    await page.locator("tbody a", has_text="/menu").click()
                    await page.locator(".timeline li", has_text="playback.done").wait_for()
                    await page.get_by_label("Prompt").locator("option").first.wait_for(state="attached")
                    await page.locator(".facts dd", has_text="Ada").wait_for()
                    await _take(page, f"console-stream-{scheme}", HEIGHTS["stream"])
                await chromium.close()


if __name__ == "__main__":
    asyncio.run(main())
