"""A live call is heard in the browser to the sample, and the caller hears who talks there."""

import numpy as np
import pytest
from playwright.async_api import Page, expect

from mediaserver.audio.pcm import SILENCE, from_bytes
from tests.server.admin.console.conftest import LONG, NOTED, OpenPage, calling
from tests.server.process import ServerProcess
from tests.timing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


# Plays a stream by an <audio> element, with a ticket, until it is heard; tells how much of it had come by then.
AUDIO = """async (path) => {
    const { ticketUrl } = await import("./console/lib/api.js");
    const audio = new Audio(await ticketUrl(path, { for: "audio" }));
    await audio.play();
    const heard = { time: 0, buffered: audio.buffered.end(0) };
    while (!(heard.time = audio.currentTime)) await new Promise((resolve) => setTimeout(resolve, 20));
    audio.removeAttribute("src");
    audio.load();
    return heard;
}"""


async def listen(page: Page, role: str = "only listen") -> None:
    await page.get_by_label("Role").select_option(label=role)
    await page.get_by_role("button", name="Listen").click()
    await expect(page.locator(".heard")).to_have_text("heard: 1 s")


async def test_a_call_is_heard_as_it_is_played(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long") as (stream, _):
        page = await open_page(f"stream/{stream}")
        await page.evaluate(NOTED)
        await listen(page)
        played = await page.evaluate("window.played")
        await page.get_by_role("button", name="Stop listening").click()
        await expect(page.locator(".heard")).to_have_text("")
    heard = np.concatenate([samples for _, samples in played])
    # Each frame of the prompt has a number. A server that is late plays silence between frames, and none twice.
    numbers = heard[np.flatnonzero(np.diff(heard, prepend=0))]
    numbers = numbers[numbers != 0]
    assert len(numbers) >= 20
    assert (np.diff(numbers) > 0).all()
    assert np.isin(numbers, LONG).all()


async def test_an_audio_element_plays_a_call_that_lasts(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long") as (stream, _):
        page = await open_page("health")
        played = await page.evaluate(AUDIO, f"/v1/streams/{stream}/listen")
    assert played["time"] > 0
    # It began after the bytes that Chromium waits for, which are less than a second of the call.
    assert played["buffered"] < 1.5


async def test_the_caller_hears_who_talks_over_what_plays(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/silence") as (stream, heard):
        page = await open_page(f"stream/{stream}")
        await listen(page, "talk over what plays")
        await eventually(lambda: any(frame != SILENCE for frame in heard))
        loudest = max(np.abs(from_bytes(frame).astype(int)).max() for frame in heard)
        assert loudest > 1000  # the beeps of the browser's microphone
        await page.get_by_role("button", name="Stop listening").click()
        await eventually(lambda: heard[-25:] == [SILENCE] * 25)


async def test_a_token_without_the_scope_cannot_listen(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/silence") as (stream, _):
        page = await open_page(f"stream/{stream}", by="reader")
        await expect(page.get_by_role("button", name="Listen")).to_be_disabled()
