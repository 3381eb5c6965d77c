"""Paths are called from the browser: prompts are heard to the sample; keys and the microphone are heard there."""

import re

import numpy as np
import pytest
from playwright.async_api import Locator, Page, expect

from mediaserver.audio.pcm import Samples
from tests.server.admin.console.conftest import LONG, NOTED, SHORT, OpenPage, ask
from tests.server.process import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")

REFUSE_MICROPHONE = """() => {
    const refuse = () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
    navigator.mediaDevices.getUserMedia = refuse;
}"""
# Whether a sequence was played, each of whose samples fills a frame, after those that were asked for before.
HEARD = """wanted => {
    const frames = window.played.map(([, samples]) => samples);
    const fits = (at) => wanted.every((sample, n) => frames[at + n]?.every((each) => each === sample));
    for (let at = window.found ?? 0; at < frames.length; at += 1) {
        if (fits(at)) {
            window.found = at + wanted.length;
            return true;
        }
    }
    return false;
}"""
LOUD = "() => window.played.some(([, samples]) => samples.some((sample) => Math.abs(sample) > 1000))"


async def call(page: Page, path: str, *, microphone: bool = False) -> Locator:
    """Call a path as the page offers it; returns the panel once the call has begun."""
    await page.evaluate(NOTED)
    await page.get_by_role("button", name=f"Call {path}…").click()
    panel = page.get_by_role("region", name="Call")
    await panel.get_by_label("with the microphone").set_checked(microphone)
    await panel.get_by_role("button", name="Call", exact=True).click()
    return panel


async def heard(page: Page) -> list[Samples]:
    """The frames that were played so far, without silence."""
    frames = [np.array(samples) for _, samples in await page.evaluate("window.played")]
    return [frame for frame in frames if frame.any()]


def frames_of(prompt: Samples) -> list[int]:
    """The sample of which each frame of a prompt consists."""
    return [int(frame[0]) for frame in prompt.reshape(-1, 160)]


async def test_a_menu_is_walked_through_by_keys(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("paths")
    panel = await call(page, "/menu")
    await page.wait_for_function(HEARD, arg=frames_of(LONG)[20:21])
    assert (await ask(server, "/v1/streams"))["streams"][0]["peer"] == "console"
    await panel.get_by_role("button", name="Key 1", exact=True).click()
    await page.wait_for_function(HEARD, arg=frames_of(SHORT))
    await panel.get_by_role("button", name="Key 9").click()
    await page.wait_for_function(HEARD, arg=frames_of(LONG)[20:21])
    await panel.get_by_role("button", name="Key 7").click()
    await expect(panel.locator(".called")).to_have_text(re.compile(r"^Over after \d+ s: closed with 1000$"))
    frames = await heard(page)
    whole = [int(frame[0]) for frame in frames if (frame == frame[0]).all()]  # all but those that fade out
    first, last = (n for n, sample in enumerate(whole) if sample == SHORT[0])
    back = whole.index(LONG[0], first)
    assert whole[:first] == frames_of(LONG)[:first]
    assert whole[first:back] == frames_of(SHORT)
    assert whole[back:last] == frames_of(LONG)[: last - back]
    assert whole[last:] == frames_of(SHORT)
    assert len(frames) - len(whole) <= 2
    timeline = panel.locator(".timeline")
    await expect(timeline.locator("li", has_text="stream.ended")).to_contain_text("reason finished")
    for key in "197":
        await expect(timeline.locator("li", has_text=f"digits {key}")).to_have_count(1)


async def test_what_the_microphone_hears_comes_back(open_page: OpenPage) -> None:
    page = await open_page("paths")
    panel = await call(page, "/echo", microphone=True)
    await page.wait_for_function(LOUD)  # the beeps of the browser's microphone
    await expect(panel.locator(".called")).to_have_text(re.compile(r"^In the call for \d+ s$"))
    await panel.get_by_role("button", name="Hang up").click()
    await expect(panel.locator(".called")).to_have_text(re.compile(r"^Hung up after \d+ s$"))
    await expect(panel.locator(".timeline")).to_contain_text("peer-closed")
    await expect(panel.get_by_role("button", name="Key 1", exact=True)).to_be_disabled()


async def test_without_a_microphone_one_listens_and_presses_keys(open_page: OpenPage) -> None:
    page = await open_page("paths")
    await page.evaluate(REFUSE_MICROPHONE)
    panel = await call(page, "/keys", microphone=True)
    why = "You can listen and press keys only. The microphone: Permission denied"
    await expect(panel.get_by_role("alert")).to_have_text(why)
    for key in "D0*":
        await panel.get_by_role("button", name=f"Key {key}", exact=True).click()
    for key in "D0*":
        await expect(panel.locator(".timeline li", has_text=f"digits {key}")).to_have_count(1)
    await page.reload()


async def test_values_are_filled_in_and_a_refusal_is_told(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("paths")
    await page.get_by_role("button", name="Call /play/{prompt:.+}…").click()
    panel = page.get_by_role("region", name="Call")
    await expect(panel.get_by_role("heading")).to_be_focused()
    await panel.get_by_label("with the microphone").uncheck()
    await panel.get_by_label("prompt").fill("no/<b>such")
    await page.keyboard.press("Enter")
    await expect(panel.get_by_role("alert")).to_have_text('Refused with 404: no prompt "no/<b>such"')
    await panel.get_by_label("prompt").fill("<b>bold")
    await panel.get_by_label("Query").fill("customer=%3C7%3E")
    await panel.get_by_role("button", name="Call", exact=True).click()
    await expect(panel.locator(".called")).to_contain_text("closed with 1000")
    (ended,) = [line for line in server.events("stream ended") if line["path"] == "/play/<b>bold"]
    assert (ended["peer"], ended["reason"]) == ("console", "finished")


async def test_the_call_ends_with_the_page_and_readers_cannot_call(
    server: ServerProcess, open_page: OpenPage
) -> None:
    page = await open_page("paths")
    panel = await call(page, "/keys")
    await expect(panel.locator(".called")).to_contain_text("In the call")
    await page.get_by_role("link", name="Live").click()
    await expect(page.locator(".summary")).to_have_text("0 streams")
    page = await open_page("paths", by="reader")
    await expect(page.locator("article").first).to_contain_text("/silence")
    await expect(page.get_by_role("button", name=re.compile("^Call"))).to_have_count(0)
