"""Pictures of the console, taken in a real browser from a running server with calls in progress.

    python -m scripts.pictures.console

The script needs a Chromium or Chrome in PATH. The calls are real ones. Figures that would differ from run to run,
such as durations, are replaced in the server's answers on their way to the page.
"""

import asyncio
import contextlib
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from playwright.async_api import Page, Route, WebSocketRoute, async_playwright

from mediaserver.audio.pcm import to_bytes
from mediaserver.call.problems import Failures, find_problems
from mediaserver.client.simulator import SimulatedCall, simulate
from mediaserver.events.kinds import EventKind
from mediaserver.playout.sources.source import Source
from mediaserver.server.admin.live.overview import COLUMNS
from mediaserver.wire.encapsulation import Framing
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.sound import speechlike
from tests.timing import eventually

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"live": (1536, 460), "stream": (1120, 940), "ended": (1120, 620)}  # width and height in pixels
STRIP_SECONDS = 8  # for which levels are measured before the strip of time is pictured
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = {f"console-{name}-{scheme}" for name in SIZES for scheme in SCHEMES}
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
# A call that is over, and was bad: its path and query, and the figures that the pictures show for it.
BAD_CALL, BAD_PATH = "4be07d", "/menu?customer=Grace%20Hopper&encapsulation=rtp"
BAD_FIGURES = {
    "peer": "10.20.0.14:50431",
    "packets": 388,
    "lost_packets": 31,
    "late_packets": 2,
    "jitter_ms": 24.7,
}
_NO_FAULTS = {"late": 0, "skipped": 0, "underruns": 0, "problems": list[object](), "impairments": list[object]()}


def fix_figures(stream: dict[str, Any]) -> dict[str, Any]:
    """A description of a stream in which figures that differ from run to run are replaced by fixed ones."""
    if stream["call"] == BAD_CALL:
        fixed = stream | _NO_FAULTS | BAD_FIGURES
        failures = Failures()
        failures.add(EventKind.WEBHOOK_FAILED, "flows.example.com: no answer within 5 s")
        return fixed | {"problems": [problem._asdict() for problem in find_problems(fixed, failures)]}
    _, figures = CALLS[stream["call"]]
    return stream | {"peer": figures["peer"]} | _NO_FAULTS  # its duration is that of the strip of time


def fix_table(message: str) -> str:
    """A message of `/v1/overview`, whose rows have the same fixed figures."""
    table = json.loads(message)
    for row in table["rows"]:
        _, figures = CALLS[row[COLUMNS.index("call")]]
        row[COLUMNS.index("peer")], row[COLUMNS.index("late")] = figures["peer"], 0
        row[COLUMNS.index("problems")] = ""
        row[COLUMNS.index("began")] = table["now"] - float(str(figures["duration_s"]))
    return json.dumps(table)


def _fix_overview(socket: WebSocketRoute) -> None:
    socket.connect_to_server().on_message(lambda message: socket.send(fix_table(str(message))))


async def _fix_answer(route: Route) -> None:
    response = await route.fetch()
    if response.ok:
        await route.fulfill(json=fix_figures(await response.json()))
    else:
        await route.fulfill(response=response)


def _voice() -> Source:
    """What a caller says: words, as far as meters can tell, in some noise."""
    said = speechlike(160 * 500).astype(np.float64) * (np.arange(160 * 500) // 16_000 % 2) * 0.5
    noise = np.random.default_rng(1).normal(0, 20, said.size)
    frames = [to_bytes(part) for part in (said + noise).clip(-32768, 32767).astype(np.int16).reshape(-1, 160)]
    return Source(itertools.cycle(frames))


@contextlib.asynccontextmanager
async def _calls(server: ServerProcess) -> AsyncIterator[None]:
    """Make all calls, and wait until each has received audio. The calls last for the `with` block."""
    heard: dict[str, int] = dict.fromkeys(CALLS, 0)
    over = asyncio.Event()

    async def make(call: str, path: str) -> None:
        def on_frame(pcm: bytes, at: float) -> None:
            heard[call] += 1

        joint = "&" if "?" in path else "?"
        script = SimulatedCall(server.url(f"{path}{joint}call_id={call}"), framing=Framing.PCM, voice=_voice())
        await simulate(script, on_frame, over)

    async with asyncio.TaskGroup() as group:
        for call, (path, _) in CALLS.items():
            group.create_task(make(call, path))
        await eventually(lambda: all(heard.values()))
        try:
            yield
        finally:
            over.set()


async def _take(page: Page, name: str, scheme: str) -> None:
    width, height = SIZES[name]
    file = FOLDER / f"console-{name}-{scheme}.png"
    await page.evaluate("document.activeElement.blur()")
    await page.mouse.move(0, 0)
    await page.set_viewport_size({"width": width, "height": height})
    await page.screenshot(path=file)
    print(f"docs/pictures/{file.name}: {file.stat().st_size / 1000:.0f} KB")


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


async def _call_badly(server: ServerProcess) -> None:
    """Make the call that is bad: its caller presses a key whose webhook does not answer."""
    script = SimulatedCall(server.url(f"{BAD_PATH}&call_id={BAD_CALL}"), digits="9", after=3.0)
    await simulate(script, lambda pcm, at: None, asyncio.Event())


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
                await page.route(re.compile(r"/v1/(ended-)?streams/\w+$"), _fix_answer)
                await page.route_web_socket(re.compile("/v1/overview"), _fix_overview)
                await _act(server, "b1f0c7")
                await _call_badly(server)
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    await page.goto(server.admin_url("/#/live"))
                    await page.locator("tbody a", has_text="/assistant").wait_for()
                    await asyncio.sleep(2)  # until the meters move
                    await _take(page, "live", scheme)
                    await page.locator("tbody a", has_text="/menu").click()
                    await page.locator(".timeline li", has_text="playback.done").wait_for()
                    await page.get_by_label("Prompt").locator("option").first.wait_for(state="attached")
                    await page.locator(".facts dd", has_text="Ada").wait_for()
                    await asyncio.sleep(STRIP_SECONDS)
                    await _take(page, "stream", scheme)
                    await page.goto(server.admin_url(f"/#/stream/{BAD_CALL}"))
                    await page.locator(".timeline li", has_text="stream.ended").wait_for()
                    await page.locator(".timeline li", has_text="played").wait_for()
                    await _take(page, "ended", scheme)
                await chromium.close()


if __name__ == "__main__":
    asyncio.run(main())
