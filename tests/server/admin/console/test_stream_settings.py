"""What is set on a stream in a real browser: what the caller hears, what is written, and what the pages show."""

from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from mediaserver.audio.pcm import SILENCE
from tests.server.admin.console.conftest import LONG, NARROW, OpenPage, ask, calling
from tests.server.admin.control.test_gain_and_mute import scaled
from tests.server.admin.live_calls import parts
from tests.server.process import ServerProcess
from tests.sound import read_stereo
from tests.timing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
FRAMES = parts(LONG)
SOFTER = [scaled(frame, -6) for frame in FRAMES]


async def set_gain(page: Page, gain: str) -> None:
    await page.get_by_label("Gain, dB").fill(gain)
    await page.get_by_role("button", name="Set gain").click()


async def test_gain_and_mute_by_the_page_are_heard(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long?repeat=forever") as (stream, heard):

        def plays(frames: list[bytes]) -> bool:
            """Whether the latest frame is that of its place, because nothing is left out meanwhile."""
            return heard[-1] == frames[(len(heard) - 1) % len(frames)]

        page = await open_page(f"stream/{stream}", refused=[400])
        mute = page.get_by_role("button", name="Mute our sound")
        await expect(page.locator(".controls")).to_contain_text("now 0 dB")
        await set_gain(page, "21")
        await expect(page.locator(".result.wrong")).to_have_text("body: gain: should be 20 or less (it is 21)")
        assert plays(FRAMES)
        await page.get_by_label("Label").fill("not sent")
        await set_gain(page, "-6")
        await expect(page.locator(".result")).to_have_text("The gain is -6 dB")
        await eventually(lambda: plays(SOFTER))
        await expect(page.locator(".controls")).to_contain_text("now -6 dB")

        await expect(mute).to_have_attribute("aria-pressed", "false")
        await mute.focus()
        await page.keyboard.press("Space")
        await eventually(lambda: heard[-3:] == [SILENCE] * 3)
        await expect(mute).to_have_attribute("aria-pressed", "true")
        caller = page.get_by_role("button", name="Mute the caller")
        await caller.click()
        await expect(caller).to_have_attribute("aria-pressed", "true")
        assert (await ask(server, f"/v1/streams/{stream}"))["muted"] == ["caller", "us"]
        await mute.click()
        await eventually(lambda: plays(SOFTER))
        await expect(mute).to_have_attribute("aria-pressed", "false")
        assert (await ask(server, f"/v1/streams/{stream}"))["muted"] == ["caller"]
        told = page.locator(".timeline li", has_text="stream.adjusted")
        await expect(told.last).to_contain_text("gain -6 dB, caller muted, by admin")
        problems = page.get_by_role("region", name="What is bad")
        await expect(problems).to_contain_text("Requests have muted the caller for the handler")
        await expect(page.get_by_label("Label")).to_have_value("not sent")  # though the stream was described since


async def test_a_stream_gets_a_label_and_another_path(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/silence") as (stream, heard), calling(server, "/keys"):
        page = await open_page(f"stream/{stream}", viewport=NARROW, refused=[400, 404])
        label = page.get_by_label("Label")
        await label.fill("two words")
        await page.get_by_role("button", name="Set label").click()
        await expect(page.locator(".result.wrong")).to_contain_text("body: label: should match the pattern")
        await label.fill("support-7")
        await label.press("Enter")
        await expect(page.locator(".facts").first).to_contain_text("labelsupport-7")

        path = page.get_by_label("Path")
        suggested = page.locator("datalist option[value='/play/{prompt:.+}']")
        await expect(suggested).to_have_count(1)
        await path.fill("/play/lon")
        await page.get_by_role("button", name="Switch").click()
        await expect(page.locator(".result.wrong")).to_have_text('no prompt "lon" (did you mean "long"?)')
        assert set(heard) == {SILENCE}
        await path.fill("/play/long?repeat=forever")
        await page.get_by_role("button", name="Switch").click()
        await expect(page.locator(".result")).to_have_text("Switched to /play/long")
        switched = page.locator(".timeline li", has_text="stream.switched")
        await expect(switched).to_contain_text("from /silence to /play/long, by admin")
        await eventually(lambda: heard[-1] != SILENCE)
        assert await page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]

        page = await open_page("live", viewport=NARROW)
        await expect(page.locator(".summary")).to_have_text("2 streams")
        await page.get_by_label("Filter").fill("support-7")
        await expect(page.locator(".summary")).to_have_text("1 of 2 streams")
        await expect(page.locator("tbody th")).to_have_text(["/play/long"])
        await expect(page.locator("tbody td", has_text="support-7")).to_be_visible()
    first = next(n for n, frame in enumerate(heard) if frame != SILENCE)
    assert heard[first : first + 5] == FRAMES[:5]


async def test_a_recording_is_begun_shown_and_ended(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long?repeat=forever") as (stream, heard):
        page = await open_page(f"stream/{stream}")
        recordings = page.get_by_role("list", name="Recordings of this stream").get_by_role("listitem")
        none = page.get_by_text("Nothing records this stream.")
        await expect(none).to_be_visible()
        await page.get_by_label("caller left, us right").check()
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(recordings).to_have_count(1)
        (recording,) = (await ask(server, f"/v1/streams/{stream}"))["recordings"]
        file = recording["file"]
        await expect(recordings).to_contain_text(file)
        before = len(heard)
        await eventually(lambda: len(heard) > before + 5)
        await page.get_by_role("button", name=f"Stop recording {file}").focus()
        await page.keyboard.press("Enter")
        done = page.locator(".timeline li", has_text="recording.done")
        await expect(done).to_contain_text("reason requested")
        await expect(none).to_be_visible()
        await expect(recordings).to_have_count(0)
        # The focus stays among the controls, where it was.
        assert await page.evaluate("document.activeElement.closest('.controls') !== null")
    caller, us = read_stereo(Path(file)).T
    # A server that is late records silence between frames.
    assert np.isin(us[us != 0], LONG).all()
    assert len(np.unique(us)) > 5
    assert not caller.any()


async def test_recordings_of_the_handler_are_shown_and_not_ended(
    server: ServerProcess, open_page: OpenPage
) -> None:
    async with calling(server, "/record") as (stream, _):
        page = await open_page(f"stream/{stream}")
        recordings = page.get_by_role("list", name="Recordings of this stream").get_by_role("listitem")
        await expect(recordings).to_have_count(1)
        (recording,) = (await ask(server, f"/v1/streams/{stream}"))["recordings"]
        assert recording["id"] is None
        await expect(recordings).to_contain_text(f"{recording['file']}, ")
        await expect(recordings.get_by_role("button")).to_have_count(0)
        await page.get_by_role("button", name="Pause recording").click()
        await expect(recordings).to_contain_text("paused")
        await page.get_by_role("button", name="Resume recording").click()
        await expect(recordings).not_to_contain_text("paused")
