"""Prompts that are changed in a real browser: what the next call hears, what is told, and who may do it."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Locator, Page, Route, expect

from mediaserver.audio.pcm import Samples, to_bytes
from tests.server.admin.console.conftest import NARROW, SHORT, OpenPage
from tests.server.process import ServerProcess, client_session, listen
from tests.sound import write_wav

pytestmark = pytest.mark.asyncio(loop_scope="package")
# Drops files onto an element: [[name, base64], …].
DROP = """(element, files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, text] of files) {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        dataTransfer.items.add(new File([bytes], name));
    }
    for (const type of ["dragenter", "dragover", "drop"]) {
        element.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
}"""
OURS = ("dropped", "music/chosen", "changed", "renamed", "said")


def steps(seed: int) -> Samples:
    """Five frames that differ from those of other seeds, without DC, which would be removed."""
    peaks = np.arange(1, 6) * 100 + seed * 1000
    return (np.repeat(peaks, 160) * np.tile([1, -1], 400)).astype(np.int16)


def wav_bytes(folder: Path, samples: Samples) -> bytes:
    return write_wav(folder / "sound.wav", samples).read_bytes()


def chosen(folder: Path, name: str, samples: Samples) -> FilePayload:
    return {"name": name, "mimeType": "audio/wav", "buffer": wav_bytes(folder, samples)}


async def drop(onto: Locator, *files: tuple[str, bytes]) -> None:
    await onto.evaluate(DROP, [[name, base64.b64encode(content).decode()] for name, content in files])


async def heard(server: ServerProcess, name: str) -> bytes:
    """What the next call hears, without the silence that follows."""
    frames = (await listen(server.url(f"/play/{name}"))).messages
    while not any(frames[-1]):
        frames.pop()
    return b"".join(frames)


async def request(server: ServerProcess, method: str, path: str, body: bytes | None = None) -> int:
    headers = {"Authorization": "Bearer of-the-admin"}
    async with (
        client_session() as client,
        client.request(method, server.admin_url(f"/v1/prompts/{path}"), data=body, headers=headers) as got,
    ):
        return got.status


@pytest_asyncio.fixture(autouse=True, loop_scope="package")
async def without_leftovers(server: ServerProcess) -> AsyncIterator[None]:
    """Leaves the prompts as they were, for the other tests of this server."""
    yield
    for name in OURS:
        assert await request(server, "DELETE", f"{name}?force=true") in (204, 404)


def adding(page: Page) -> Locator:
    return page.get_by_role("region", name="Add prompts")


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="The chosen prompt")


async def test_a_file_that_is_dropped_is_heard_by_the_next_call(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    page = await open_page("prompts", refused=[400, 422])
    good, bad = wav_bytes(tmp_path, steps(1)), b"<!doctype html><title>Not found</title>"
    await drop(adding(page), ("dropped.wav", good), ("page.wav", bad), (".wav", good))
    lines = adding(page).locator("li")
    await expect(lines.nth(2)).to_contain_text("dropped: 0.10 s, ")
    await expect(lines.nth(1)).to_have_text("page.wav: the file is an HTML page, not sound ")
    await expect(lines.nth(0)).to_contain_text(".wav: no prompt may have this name: ")
    await expect(page.get_by_role("button", name="dropped")).to_be_visible()
    assert await heard(server, "dropped") == to_bytes(steps(1))


async def test_by_the_keyboard_files_are_chosen_into_a_folder_and_texts_spoken(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    page = await open_page("prompts")
    await adding(page).get_by_label("Into the folder").fill("/music/")
    await adding(page).get_by_label("Files").set_input_files(chosen(tmp_path, "chosen.wav", steps(2)))
    await expect(adding(page).locator("li")).to_contain_text("music/chosen: 0.10 s")
    assert await heard(server, "music/chosen") == to_bytes(steps(2))
    await adding(page).get_by_label("Name").fill("said")
    await adding(page).get_by_label("Text").fill("Hi")
    await page.keyboard.press("Enter")
    await expect(adding(page).get_by_role("status").last).to_contain_text("said: 0.04 s")
    assert await heard(server, "said") == b"".join(bytes((0, each, 0, 256 - each)) * 80 for each in b"Hi")


async def test_a_prompt_is_replaced_restored_renamed_removed_and_comes_back(
    server: ServerProcess, open_page: OpenPage, tmp_path: Path
) -> None:
    old, new = wav_bytes(tmp_path, steps(3)), wav_bytes(tmp_path, steps(4))
    assert await request(server, "PUT", "changed.wav", old) == 201
    page = await open_page("prompts")
    await page.get_by_role("button", name="changed").click()
    told = panel(page).get_by_role("status")
    await expect(panel(page).get_by_text("There are no old versions.")).to_be_visible()
    await (
        panel(page)
        .get_by_label("Replace by a file")
        .set_input_files({"name": "any name.wav", "mimeType": "", "buffer": new})
    )
    await expect(told).to_contain_text("changed: 0.10 s")
    assert await heard(server, "changed") == to_bytes(steps(4))
    versions = panel(page).get_by_role("table", name="Old versions").locator("tbody tr")
    await expect(versions).to_contain_text("0.10admin")
    await versions.get_by_role("button").click()
    await expect(versions).to_have_attribute("title", f"replaced by an older one by admin, wav, {len(new)} bytes")
    assert await heard(server, "changed") == to_bytes(steps(3))
    await panel(page).get_by_label("Say instead").fill("Hi")
    await panel(page).get_by_role("button", name="Say", exact=True).click()
    await expect(told).to_contain_text("changed: 0.04 s")
    await expect(versions).to_have_count(2)
    await panel(page).get_by_label("New name").fill("renamed")
    await panel(page).get_by_role("button", name="Rename").click()
    await expect(told).to_contain_text("changed is renamed now.")
    await expect(page.get_by_role("heading", name="renamed")).to_be_focused()
    await expect(versions).to_have_count(2)
    await panel(page).get_by_role("button", name="Remove…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("renamed is removed.")).to_be_visible()
    await expect(panel(page)).to_be_hidden()
    await expect(page.get_by_role("button", name="renamed")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("heading", name="renamed")).to_be_focused()
    assert len(await heard(server, "renamed")) == 2 * 320


async def test_what_a_path_needs_is_removed_only_after_a_second_word(
    server: ServerProcess, open_page: OpenPage
) -> None:
    page = await open_page("prompts", refused=[409])
    await page.get_by_role("button", name="short").click()
    await panel(page).get_by_role("button", name="Remove…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    told = panel(page).get_by_role("status")
    await expect(told).to_contain_text('the prompt "short" is needed, unless you add ?force=true: ')
    await expect(told).to_contain_text('paths."/menu": menus.main.keys.7.play: no prompt "short"')
    assert await heard(server, "short") == to_bytes(SHORT)
    await told.get_by_role("button", name="Remove anyway").click()
    await expect(page.get_by_text("short is removed.")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("heading", name="short")).to_be_focused()
    assert await heard(server, "short") == to_bytes(SHORT)


async def test_changes_are_offered_to_tokens_with_the_scope_alone(
    open_page: OpenPage, server: ServerProcess
) -> None:
    page = await open_page("prompts", by="reader")
    await page.get_by_role("button", name="short").click()
    await expect(page.get_by_role("heading", name="short")).to_be_focused()
    for each in ("Add prompts", "Change it", "Old versions"):
        await expect(page.get_by_text(each)).to_have_count(0)


async def test_changes_are_offered_if_the_server_allows_them(open_page: OpenPage, server: ServerProcess) -> None:
    page = await open_page("health")

    async def describe(route: Route) -> None:
        answer = await (await route.fetch()).json()
        await route.fulfill(json=answer | {"editable": False})

    await page.route("**/v1/prompts?limit=*", describe)
    await page.goto(page.url.replace("health", "prompts"))
    await page.get_by_role("button", name="short").click()
    await expect(page.get_by_role("heading", name="short")).to_be_focused()
    await expect(page.get_by_text("Add prompts")).to_be_hidden()
    await expect(page.get_by_text("Change it")).to_be_hidden()
    await page.unroute_all()


async def test_on_a_phone_nothing_scrolls_sideways(open_page: OpenPage, server: ServerProcess) -> None:
    page = await open_page("prompts", viewport=NARROW)
    await page.get_by_role("button", name="short").click()
    await expect(panel(page).get_by_role("heading", name="Change it")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
