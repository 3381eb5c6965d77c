"""What the console tells of calls in progress and over: what plays, what is bad, and what has happened."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from mediaserver.wire.rtp import Packetizer, PayloadType
from tests.server.admin.console.conftest import NARROW, OpenPage, ask, calling
from tests.server.admin.console.test_console import row
from tests.server.process import ServerProcess, connected
from tests.timing import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
# How many pixels of the strip are painted: read from a copy, as a canvas that is read often is drawn slowly.
PAINTED = """() => {
    const canvas = document.querySelector(".strip");
    const [width, height] = [canvas.width, canvas.height];
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    let painted = 0;
    for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
    return painted;
}"""


@contextlib.asynccontextmanager
async def losing_call(server: ServerProcess, call: str) -> AsyncIterator[str]:
    """A call by RTP that has lost a tenth of its packets; yields the stream's id."""
    packets = Packetizer(PayloadType.PCMU).packets(itertools.repeat(bytes(160)))
    async with connected(server.url(f"/keys?encapsulation=rtp&call_id={call}")) as websocket:
        for n, packet in enumerate(itertools.islice(packets, 50)):
            if n % 10 != 5:
                await websocket.send_bytes(packet[-172:])
        await websocket.receive()
        found = [each for each in (await ask(server, "/v1/streams"))["streams"] if each.get("call") == call]
        yield found[0]["id"]


async def expect_current(page: Page, name: str) -> None:
    """The navigation marks one page as the current one."""
    await expect(page.locator('nav [aria-current="page"]')).to_have_text([name])


async def open_stream(page: Page, stream: str) -> None:
    await page.goto(f"{page.url.partition('#')[0]}#/stream/{stream}")
    await expect(page.locator("h1 code")).to_have_text(stream)


async def test_a_bad_call_is_told_from_a_good_one_while_both_last(
    server: ServerProcess, open_page: OpenPage
) -> None:
    page = await open_page("live", by="reader")
    async with losing_call(server, "lossy") as bad, calling(server, "/play/long") as (good, _):
        await expect(row(page, bad)).to_contain_text("loss")
        await expect(row(page, bad).locator("td.wrong")).to_have_text(re.compile("loss"))
        await expect(row(page, bad)).to_contain_text("rtp/pcmumulaw")
        await expect(row(page, good)).to_contain_text("long")
        await open_stream(page, bad)
        problems = page.get_by_role("region", name="What is bad")
        await expect(problems).to_contain_text("5 of 50 RTP packets of the caller were lost (10.0%).")
        await expect(page.get_by_role("region", name="Facts")).to_contain_text("packets lost5")
        await open_stream(page, good)
        await expect(page.get_by_role("region", name="Facts")).to_contain_text("playslong")
        await expect(problems.filter(has_text="RTP")).to_have_count(0)
        strip = page.get_by_role("img", name="How loud the caller (above) and we (below) were")
        await expect(strip).to_be_visible()
        before = await page.evaluate(PAINTED)
        async with asyncio.timeout(PATIENCE):
            while await page.evaluate(PAINTED) <= before + 100:  # our levels are drawn as they are measured
                await asyncio.sleep(0.1)


async def test_a_call_that_is_over_is_found_and_explained(server: ServerProcess, open_page: OpenPage) -> None:
    async with losing_call(server, "over-bad") as bad:
        pass
    async with connected(server.url("/play/short?call_id=over-good")) as call:
        async for _ in call:
            pass
    page = await open_page("ended", by="reader")
    await page.get_by_label("Filter").fill("over-")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page.locator("tbody tr").first).to_contain_text("/play/short")
    await page.get_by_label("only bad ones").check()
    await expect(row(page, bad)).to_contain_text("loss")
    await expect(page.locator("tbody tr:has(td.wrong:empty)")).to_have_count(0)
    await row(page, bad).locator("a").click()
    await expect(page.locator(".state")).to_contain_text("Over after ")
    await expect_current(page, "Ended")
    await expect(page.get_by_role("region", name="What is bad")).to_contain_text("5 of 50 RTP packets")
    await expect(page.get_by_role("region", name="Events")).to_contain_text("stream.ended")
    await expect(page.get_by_role("region", name="Control")).to_have_count(0)
    await open_stream(page, "over-good")
    events = page.locator(".timeline li b")
    await expect(events).to_have_text(["stream.started", "played", "stream.ended"])
    await expect(page.locator(".timeline li", has_text="played")).to_contain_text("short, 0.1 s")
    await expect(page.get_by_role("img", name="How loud the caller (above) and we (below) were")).to_be_visible()
    await open_stream(page, "no-such-call")
    await expect(page.locator(".state")).to_contain_text(
        "There is no such stream in progress, nor among the latest"
    )


async def test_packets_to_which_nothing_listened_are_not_said_to_be_all_in_order(
    server: ServerProcess, open_page: OpenPage
) -> None:
    packets = Packetizer(PayloadType.PCMU).packets(itertools.repeat(bytes(160)))
    async with connected(server.url("/silence?encapsulation=rtp&call_id=unheard")) as websocket:
        for packet in itertools.islice(packets, 60):
            await websocket.send_bytes(packet[-172:])
        await websocket.receive()
    async with asyncio.timeout(PATIENCE):
        while not (found := (await ask(server, "/v1/ended-streams?call=unheard"))["streams"]):
            await asyncio.sleep(0.02)
    page = await open_page(f"stream/{found[0]['id']}", by="reader")
    facts = page.get_by_role("region", name="Facts")
    await expect(facts).to_contain_text(
        re.compile(r"\d RTP packets? of 60 counted. Nothing listened to the others")
    )
    async with losing_call(server, "heard") as heard:
        await open_stream(page, heard)
        await expect(facts).to_contain_text("packets received45")
        await expect(facts).not_to_contain_text("Nothing listened")


async def test_the_end_of_a_call_that_is_looked_at_is_explained(
    server: ServerProcess, open_page: OpenPage
) -> None:
    async with losing_call(server, "looked-at") as stream:
        page = await open_page(f"stream/{stream}", by="reader")
        await expect(page.locator(".state")).to_have_text("In progress")
        await expect_current(page, "Live")
    await expect(page.locator(".state")).to_contain_text("Over after ")
    await expect_current(page, "Ended")
    await expect(page.get_by_role("region", name="What is bad")).to_contain_text("5 of 50 RTP packets")
    await expect(page.get_by_role("button", name="Key #")).to_be_disabled()


async def test_on_a_phone_nothing_scrolls_sideways(server: ServerProcess, open_page: OpenPage) -> None:
    async with losing_call(server, "narrow") as stream:
        for route in ("ended", f"stream/{stream}"):
            page = await open_page(route, viewport=NARROW)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
