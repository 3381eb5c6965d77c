"""The console in a real browser, with real calls: what it shows, what it does, who may do what."""

import re
import signal

import numpy as np
import pytest
from playwright.async_api import Locator, Page, expect
from yarl import URL

from mediaserver.audio import g711
from mediaserver.audio.containers import wav
from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE, to_bytes
from tests.server.admin.console.conftest import LONG, NARROW, SHORT, OpenPage, ask, calling
from tests.server.process import ServerProcess, client_session, refusal
from tests.timing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
# Whether the player has all of the sound that it was given, through a law of G.711.
LOADED = """law => {
    const audio = document.querySelector("audio");
    const url = audio.src && new URL(audio.src);
    return url && (url.searchParams.get("law") ?? "") === law && audio.readyState === 4 && audio.duration === 0.1;
}"""
# How many pixels of a waveform have the colour of the wave in the upper and in the lower half.
PAINTED = """() => {
    const canvas = document.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const halves = { upper: 0, lower: 0 };
    const middle = canvas.height / 2;
    for (let at = 0; at < data.length; at += 4) {
        const y = Math.floor(at / 4 / canvas.width);
        if (data[at + 3] && Math.abs(y - middle) > 2) halves[y < middle ? "upper" : "lower"] += 1;
    }
    return halves;
}"""
MARKUP = "<img src=x onerror=alert(1)>"
QUERY = "customer=%3Cimg%20src=x%20onerror=alert(1)%3E&call_id=%3Cb%3E7%3C/b%3E"


def parts(samples: np.ndarray) -> list[bytes]:
    return [to_bytes(part) for part in samples.reshape(-1, 160)]


def row(page: Page, stream: str) -> Locator:
    return page.locator("tbody tr").filter(has=page.locator(f'a[href="#/stream/{stream}"]'))


async def test_a_call_is_seen_while_it_lasts(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("live")
    await expect(page.locator(".summary")).to_have_text("0 streams")
    async with calling(server, "/keys?call_id=c-1") as (first, _), calling(server, "/play/long") as (second, _):
        await expect(row(page, first)).to_contain_text("/keysin127.0.0.1:")
        await expect(row(page, first)).to_contain_text("audiosocket/pcm")
        await expect(row(page, first)).to_contain_text("c-1")
        await expect(row(page, second)).to_contain_text("/play/long")
        await expect(page.locator(".summary")).to_have_text("2 streams")
        await page.get_by_label("Filter").fill("keys c-1")
        await expect(page.locator(".summary")).to_have_text("1 of 2 streams")
        await expect(row(page, second)).to_have_count(0)
        await page.get_by_label("Filter").fill("")
        paths = page.locator("tbody th")
        for order in (["/keys", "/play/long"], ["/play/long", "/keys"]):
            await page.get_by_role("button", name="Path").click()
            await expect(paths).to_have_text(order)
        await expect(page.get_by_role("columnheader", name="Path")).to_have_attribute("aria-sort", "descending")
    await expect(page.locator(".summary")).to_have_text("0 streams")
    await expect(paths).to_have_count(0)


async def test_what_the_page_plays_is_what_the_caller_hears(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long") as (stream, heard):
        page = await open_page(f"stream/{stream}")
        await page.get_by_label("Prompt").select_option("short")
        await page.get_by_label("interrupt what plays").check()
        await page.get_by_role("button", name="Play", exact=True).click()
        await expect(page.locator(".result")).to_contain_text("Plays at once: playback ")
        done = page.locator(".timeline li", has_text="playback.done")
        await expect(done).to_contain_text("seconds 0.1 complete true")
        await expect(done.locator("time")).to_have_text(re.compile(r"\d+:\d\d\.\d\d"))
        await eventually(lambda: heard[-1] in parts(LONG))
        await page.get_by_role("button", name="Stop all sound").click()
        await expect(page.locator(".result")).to_have_text("All sound is stopped")
    at = heard.index(parts(SHORT)[0])
    assert heard[: at - 1] == parts(LONG)[: at - 1]
    assert heard[at - 1] == fade_out(parts(LONG)[at - 1])
    assert heard[at : at + 5] == parts(SHORT)
    assert heard[at + 5] == parts(LONG)[at - 1]


async def test_keys_recordings_and_the_end_of_a_call(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/keys") as (stream, heard):
        page = await open_page(f"stream/{stream}", refused=[400])
        timeline = page.locator(".timeline")
        await expect(timeline).to_contain_text("stream.started")
        await page.get_by_role("button", name="Key #").click()
        await expect(timeline.locator("li", has_text="digits")).to_contain_text("#")
        await page.get_by_role("button", name="Pause recording").click()
        await expect(timeline.locator("li", has_text="recording.paused")).to_contain_text("by admin")
        await page.get_by_role("button", name="Resume recording").click()
        await expect(timeline).to_contain_text("recording.resumed")
        await page.get_by_label("Text").fill("!")
        await page.get_by_role("button", name="Say").click()
        await expect(page.locator(".result.wrong")).to_have_text("the text is empty: there is nothing to say")
        await page.get_by_role("button", name="Hang up…").click()
        await page.get_by_role("button", name="Cancel").click()
        assert [each["id"] for each in (await ask(server, "/v1/streams"))["streams"]] == [stream]
        await page.get_by_role("button", name="Hang up…").click()
        await page.get_by_role("button", name="Hang up", exact=True).click()
        await expect(page.locator(".state")).to_contain_text("Over after ")
        await expect(page.locator(".state")).to_contain_text("hung-up")
        await expect(page.get_by_role("button", name="Key #")).to_be_disabled()
        assert heard[-1] == SILENCE


async def test_a_token_that_may_only_read_sees_all_and_changes_nothing(
    server: ServerProcess, open_page: OpenPage
) -> None:
    async with calling(server, "/silence") as (stream, _):
        page = await open_page("live", by="reader")
        await row(page, stream).locator("a").click()
        await expect(page.locator(".state")).to_have_text("In progress")
        await expect(page.locator(".timeline")).to_contain_text("stream.started")
        controls = page.locator(".controls > *:not(dialog) :is(button, input, select), .controls > .keypad button")
        assert await controls.count() >= 24
        for control in await controls.all():
            await expect(control).to_be_disabled()
        await expect(page.locator(".controls")).to_contain_text("The token lacks the scope control.")


async def test_the_token_is_typed_once_and_forgotten(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("live", by="", refused=[401])
    await page.get_by_label("Token").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator(".sign-in .wrong")).to_have_text("needs a token: Authorization: Bearer")
    await page.get_by_label("Token").fill("of-the-reader")
    await page.keyboard.press("Enter")
    await expect(page.locator("#who")).to_contain_text("reader")
    await page.reload()
    await expect(page.locator(".summary")).to_have_text("0 streams")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_focused()
    assert await page.evaluate("sessionStorage.getItem('mediaserver.token')") is None


async def test_all_is_reached_by_keyboard(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/silence") as (stream, _):
        page = await open_page("live")
        await expect(row(page, stream)).to_have_count(1)
        reached = []
        for _ in range(30):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent || document.activeElement.id"))
            if reached[-1] == "/silence":
                break
        assert reached[0] == "Skip to the content"
        known = ["Live", "Ended", "Prompts", "Paths", "Health", "Sign out", "filter", "Path", "Call", "Problems"]
        assert [each for each in reached if each in known] == known
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"Stream {stream}")
        await expect(page.locator("main")).to_be_focused()
        await expect(page).to_have_title("Stream – mediaserver")
        await expect(page.get_by_label("Prompt").locator("option")).to_have_count(3)
        for _ in range(10):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent") == "Play":
                break
        await page.keyboard.press("Enter")
        await expect(page.locator(".result")).to_contain_text("Waits for its turn")


async def test_on_a_phone_what_strangers_write_is_text_and_no_page_scrolls_sideways(
    server: ServerProcess, open_page: OpenPage
) -> None:
    async with calling(server, f"/silence?{QUERY}&{'x' * 60}={'y' * 300}") as (stream, _):
        page = await open_page("live", viewport=NARROW)
        await expect(row(page, stream)).to_contain_text("<b>7</b>")
        assert await page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        await row(page, stream).locator("a").click()
        await expect(page.locator(".facts").nth(1)).to_contain_text(f"customer{MARKUP}")
        await expect(page.locator(".facts").nth(1)).to_contain_text("yyyy")
        await expect(page.locator("main img, main b:not(.timeline b)")).to_have_count(0)
        await expect(page.get_by_label("Prompt").locator("option").first).to_have_text("<b>bold")
        assert await page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


async def test_a_prompt_is_seen_and_heard_as_callers_hear_it(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("prompts")
    await expect(page.locator("tbody th")).to_have_text(["<b>bold", "long", "short"])
    await page.get_by_label("Filter").fill("sho")
    await expect(page.locator(".summary")).to_have_text("1 of 3 prompts")
    await page.get_by_role("button", name="short").click()
    await expect(page.get_by_role("heading", name="short")).to_be_focused()
    await expect(page.get_by_role("img", name="Waveform of short, 0.1 seconds")).to_be_visible()
    for law, samples in (("", SHORT), ("mulaw", g711.mulaw_decode(g711.mulaw_encode(SHORT)))):
        await page.get_by_label("Sound").select_option(law)
        await page.wait_for_function(LOADED, arg=law)
        (url,) = {await page.evaluate("document.querySelector('audio').src")}
        assert "of-the-admin" not in url
        async with client_session() as client:
            plain = URL(url).without_query_params("ticket")
            async with client.get(plain, headers={"Authorization": "Bearer of-the-admin"}) as response:
                sound = wav.parse(await response.read())
        assert sound.description == "WAV 8000 Hz 16-bit mono"
        assert np.array_equal(sound.samples(), samples)
    await page.get_by_label("Filter").fill("<b>")
    await page.get_by_role("button", name="<b>bold").click()
    await expect(page.get_by_role("img", name="Waveform of <b>bold, 0.1 seconds")).to_be_visible()
    # The waveform falls in five steps, all of them below the middle: no pixel of the upper half is painted.
    painted = await page.evaluate(PAINTED)
    assert painted["upper"] == 0
    assert painted["lower"] > 0


async def test_paths_are_shown_with_a_graph_of_each_menu(server: ServerProcess, open_page: OpenPage) -> None:
    async with calling(server, "/play/long"):
        page = await open_page("paths", by="reader")
        card = page.locator("article", has=page.locator("h2", has_text="/menu"))
        await expect(card).to_contain_text("accessby tokens")
        graph = card.get_by_role("img", name="Menus of /menu")
        await expect(graph.locator(".menu .name")).to_have_text(["main", "sales"])
        await expect(graph.locator(".end .detail")).to_have_text(["play short, hang up"])
        keys = [await each.evaluate("text => text.lastChild.data") for each in await graph.locator(".key").all()]
        assert keys == ["1", "7", "9", "on_timeout"]
        await expect(graph.locator(".edge")).to_have_count(4)
        await card.get_by_text("The same as a table").click()
        table = await card.locator("tbody td").all_inner_texts()
        assert table[:6] == ["main", "1", "menu sales", "main", "7", "play short, hang up"]
        link = page.locator("article", has=page.locator("h2", has_text="/play/{prompt:.+}")).get_by_role("link")
        await expect(link).to_have_text("1 in progress")
        await link.click()
        await expect(page.locator("tbody th")).to_have_text(["/play/long"])
        await expect(page.get_by_label("Filter")).to_have_value("/play/")


async def test_health_counts_what_was_refused_and_why(server: ServerProcess, open_page: OpenPage) -> None:
    for _ in range(2):
        assert (await refusal(server.url("/nowhere")))[0] == 404
    async with calling(server, "/play/long"):
        page = await open_page("health", by="reader")
        await expect(page.locator(".state")).to_contain_text("Ready: calls are taken. Version ")
        refused = page.get_by_role("region", name="Refused calls")
        await expect(refused.locator("tr", has_text="unknown-path").locator("td").first).to_have_text("2")
        now = page.get_by_role("region", name="Streams now")
        await expect(now).to_contain_text("1 of at most 10,000")
        await expect(now.locator("tr", has_text="/play/{prompt:.+}").locator("td").first).to_have_text("1")
        load = page.get_by_role("region", name="Load", exact=True)
        await expect(load).to_contain_text(re.compile(r"CPU\d+ % of a core"))  # at the second look
        await expect(load).to_contain_text(re.compile(r"memory\d+ MBopen files\d+ of at most "))
        lateness = page.get_by_role("region", name="Lateness of frames").locator("tr")
        await expect(lateness.first).to_contain_text("up to 0.5 ms")


async def test_health_tells_the_mistakes_of_the_latest_reloads(server: ServerProcess, open_page: OpenPage) -> None:
    page = await open_page("health", by="reader")
    reloads = page.get_by_role("region", name="Reloads")
    config = server.log_file.with_suffix(".toml")
    good = config.read_text()
    config.write_text(good.replace('handler = "echo"', 'handler = "ecko"'))
    server.process.send_signal(signal.SIGHUP)
    await expect(reloads.locator(".wrong")).to_contain_text('did you mean "echo"?')
    await expect(page.locator("ul.warn")).to_contain_text("has mistakes, and is not in force: see Reloads.")
    config.write_text(good)
    server.process.send_signal(signal.SIGHUP)
    await expect(reloads.locator("li").first).to_contain_text("taken in")
    await expect(page.locator("ul.warn")).not_to_contain_text("has mistakes")
