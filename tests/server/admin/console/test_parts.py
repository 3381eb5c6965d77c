"""Parts of the console that no small server shows: thousands of streams, levels, and all signs of metrics."""

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from mediaserver.server.admin.live.overview import COLUMNS
from tests.deploy.proxies import nginx_binary
from tests.pages import page as page_of_docs
from tests.server.admin.console.conftest import OpenPage, calling
from tests.server.process import ServerProcess
from tests.timing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
MANY = 1500
NGINX_PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
# Counts what changes in the table from now on, but for the durations, until `changes` is asked for.
WATCH = """() => {
    window.changes = 0;
    const counts = ({ target }) => !(target.closest ? target : target.parentElement).closest(".number");
    const count = (records) => { window.changes += records.filter(counts).length; };
    const options = { subtree: true, childList: true, characterData: true, attributes: true };
    new MutationObserver(count).observe(document.querySelector("tbody"), options);
}"""


def stream(number: int, call: str) -> list[object]:
    known = {"id": f"{number:012x}", "path": f"/path/{number % 7}", "peer": f"10.0.0.1:{number}", "call": call}
    facts = {"direction": "in", "wire": "audiosocket/pcm", "began": -float(number), "late": 0, "lost": 0} | known
    return [facts.get(column, "") for column in COLUMNS]


async def test_of_thousands_of_streams_some_are_rendered_and_all_are_found(open_page: OpenPage) -> None:
    page = await open_page("health")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Health")
    sockets: list[WebSocketRoute] = []
    calls = {number: f"call-{number}" for number in range(MANY)}  # of the streams in progress, by their numbers
    over = False

    def answer(socket: WebSocketRoute) -> None:  # also to a page that connects again, as after it was hidden
        if over:  # the tab, with this route, is that of the other tests as well
            socket.connect_to_server()
            return
        sockets.append(socket)
        rows = [stream(number, call) for number, call in calls.items()]
        socket.send(json.dumps({"now": 9.0, "total": MANY, "ended": [], "columns": COLUMNS, "rows": rows}))

    await page.route_web_socket(re.compile("/v1/overview"), answer)
    await page.reload()  # Playwright promises no route for WebSockets of a page that was loaded before
    await page.goto(page.url.replace("health", "live"))
    summary = page.locator(".summary")
    await expect(summary).to_have_text("1,500 streams, of which the first 200 are shown: 1,300 more")
    await expect(page.locator("tbody tr")).to_have_count(200)
    await page.evaluate(WATCH)
    calls[0] = "renamed"
    sockets[-1].send(json.dumps({"now": 9.0, "total": MANY, "ended": [], "rows": [stream(0, calls[0])]}))
    await expect(page.locator("tbody tr").first).to_contain_text("renamed")
    assert await page.evaluate("window.changes") == 1  # nothing else has changed, so nothing else is laid out anew
    await page.get_by_label("Filter").fill("call-1499")
    await expect(summary).to_have_text("1 of 1,500 streams")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_label("Filter").fill("/path/3")
    await expect(summary).to_have_text("214 of 1,500 streams, of which the first 200 are shown: 14 more")
    await page.get_by_role("button", name="Duration").click()  # which is sorted by it already: the longest first
    await expect(page.locator("tbody tr").first).to_contain_text("call-1494")
    del calls[1494]
    sockets[-1].send(json.dumps({"now": 9.0, "total": 1, "ended": [f"{1494:012x}"], "rows": []}))
    await expect(page.locator("tbody tr").first).to_contain_text("call-1487")
    over = True
    await page.goto(page.url.replace("live", "health"))


async def test_metrics_are_read_as_prometheus_writes_them(open_page: OpenPage) -> None:
    page = await open_page("health")
    found = await page.evaluate(
        """async () => {
            const { parseMetrics, sumsBy, bucketsOf, valueOf } = await import("./console/lib/prometheus.js");
            const metrics = parseMetrics(String.raw`# HELP m_a b
m_a_total{path="/a \\"b\\" {c=\\"d\\"} \\\\n\\n",reason="x"} 3.0
m_a_total{path="/b",reason="y"} 1.0
m_a_total{path="/b",reason="x"} 4.5e+03
m_b_bucket{le="0.001"} 2.0
m_b_bucket{le="0.01"} 2.0
m_b_bucket{le="+Inf"} 5.0
m_c 7.0
m_d_bucket{le="1.0"} 0.0
other 9.0
`, "m_");
            const names = [...metrics.keys()];
            const last = bucketsOf(metrics, "m_b").at(-1)[0] === Infinity;
            const { path } = metrics.get("m_a_total")[0].labels;
            const buckets = bucketsOf(metrics, "m_b").map(([, value]) => value);
            const empty = bucketsOf(metrics, "m_d");
            const [c, none] = [valueOf(metrics, "m_c"), valueOf(metrics, "m_x")];
            return { names, by: sumsBy(metrics, "m_a_total", "reason"), path, buckets, last, c, none, empty };
        }"""
    )
    assert found == {
        "names": ["m_a_total", "m_b_bucket", "m_c", "m_d_bucket"],
        "by": [["x", 4503], ["y", 1]],
        "path": '/a "b" {c="d"} \\n\n',
        "buckets": [2, 0, 3],
        "last": True,
        "c": 7,
        "none": 0,
        "empty": [],
    }


async def test_prompts_are_chosen_by_their_folders(open_page: OpenPage) -> None:
    page = await open_page("health")
    names = ["beep", "ivr/de/main", "ivr/de/sub", "ivr/main", "music/hold"]
    facts = {"duration_s": 1.0, "peak_dbfs": -3.0, "loudness_lufs": -20.0, "source": "WAV", "warnings": []}
    answer = {
        "prompts": [facts | {"name": name} for name in names],
        "total": len(names),
        "editable": False,
        "upload_limit": 1,
        "problems": [],
    }
    await page.route("**/v1/prompts?limit=*", lambda route: route.fulfill(json=answer))
    await page.goto(page.url.replace("health", "prompts"))
    folders = page.get_by_role("navigation", name="Folders")
    await expect(folders.get_by_role("button")).to_have_text(["All prompts (5)", "ivr (3)", "de (2)", "music (1)"])
    await expect(folders.locator("li li")).to_have_text(["de (2)"])
    shown = page.locator("tbody th")
    for chosen, expected in (("ivr (3)", names[1:4]), ("de (2)", names[1:3]), ("All prompts (5)", names)):
        await folders.get_by_role("button", name=chosen).click()
        await expect(shown).to_have_text(expected)
        await expect(folders.get_by_role("button", name=chosen)).to_have_attribute("aria-pressed", "true")
        await expect(folders.get_by_role("button", name=chosen)).to_be_focused()
    await folders.get_by_role("button", name="ivr (3)").click()
    await page.get_by_label("Filter").fill("sub")
    await expect(shown).to_have_text(["ivr/de/sub"])
    await expect(page.locator(".summary")).to_have_text("1 of 5 prompts")
    await page.unroute("**/v1/prompts?limit=*")


async def test_engines_are_told_with_their_failures(open_page: OpenPage) -> None:
    page = await open_page("paths")
    lines = [
        'mediaserver_engine_healthy{engine="openai",kind="tts"} 0.0',
        'mediaserver_engine_healthy{engine="hibari",kind="tts"} 1.0',
        'mediaserver_engine_failures_total{engine="openai",kind="tts"} 3.0',
    ]
    await page.route("**/metrics", lambda route: route.fulfill(body="\n".join(lines)))
    await page.goto(page.url.replace("paths", "health"))
    engines = page.get_by_role("region", name="Engines").locator(".facts div")
    await expect(engines).to_have_text(
        ["openai (tts)not ready, or its last request failed; failed 3 times", "hibari (tts)ready"]
    )
    await page.unroute("**/metrics")


async def test_a_mark_in_the_timeline_is_told_in_words(open_page: OpenPage) -> None:
    page = await open_page("health")
    told = await page.evaluate(
        """async () => {
            const { Timeline } = await import("./console/pages/timeline.js");
            const timeline = new Timeline();
            const everywhere = { path: "/hold", resource: "", variables: {} };
            const add = (type, data) =>
                timeline.add({ type, time: "2026-01-02T03:04:05Z", data: { ...everywhere, ...data } });
            add("mark", { name: "greeted", complete: true });
            add("mark", { name: "greeted", complete: false });
            add("toString", { of: "a handler" });
            return [...timeline.list.children].map((line) => line.lastChild.textContent.trim());
        }"""
    )
    assert told == ["greeted: all before it was sent", "greeted: sound before it was stopped", "of a handler"]


async def test_impairments_in_the_timeline_are_told_in_words_and_go_on(open_page: OpenPage) -> None:
    page = await open_page("health")
    told = await page.evaluate(
        """async () => {
            const { Timeline } = await import("./console/pages/timeline.js");
            const timeline = new Timeline();
            timeline.add({ type: "stream.started", time: "2026-01-02T03:04:05Z", data: {} });
            const late = { kind: "late", from_s: 4, to_s: 5, count: 1 };
            timeline.addImpairments([late, { kind: "lost", from_s: 3, to_s: 5.5, count: 1200 }]);
            const gap = { kind: "gap", from_s: 6, to_s: 12, count: 6 };
            timeline.addImpairments([{ ...late, to_s: 61.5, count: 70 }, gap]);
            return [...timeline.list.children].slice(1).map((line) => [line.className, line.innerText]);
        }"""
    )
    assert told == [
        ["wrong", "0:03.00lost1,200 RTP packets, until 0:05.50"],
        ["wrong", "0:04.00held up70 frames late or left out, until 1:01.50"],
        ["wrong", "0:06.00nothing received6 seconds, until 0:12.00"],
    ]


STRIP = """async ({ over, history, measured }) => {
    const { Strip } = await import("./console/pages/strip.js");
    const strip = new Strip();
    document.querySelector("main").replaceChildren(strip.element);
    const side = (dbfs) => ({ dbfs });
    const known = { every_s: 2, caller: side([null, -20, -100]), us: side([-10, null, null]) };
    if (history) strip.setHistory(known, []);
    for (const at of measured) strip.push(at, { caller: -20, us: null, playing: "", late: 0 });
    if (over) strip.close(30);
    strip.draw();
    const { width, height } = strip.canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d");
    copy.drawImage(strip.canvas, 0, 0);
    const data = copy.getImageData(0, 0, width, height).data;
    const second = strip.range ? 30 : 120;
    const high = (from, to) => {
        // How many pixels of a column amid these seconds are painted: of the caller's lane, and of ours.
        const x = Math.floor(((from + to) / 2 / second) * width);
        const lanes = [0, 0];
        const painted = (y) => data[(y * width + x) * 4 + 3] > 0;
        for (let y = 0; y < 2 * strip.lane; y += 1) lanes[y < strip.lane ? 0 : 1] += painted(y);
        return lanes;
    };
    const found = [strip.about.textContent, [high(0, 2), high(2, 4), high(4, 6), high(10, 12)]];
    strip.end();
    return found;
}"""


@pytest.mark.parametrize(
    ("over", "history", "measured", "about", "painted"),
    [
        (True, False, [], "No levels are known: nobody measured them while the call lasted.", [1, 1] * 4),
        (
            True,
            True,
            [],
            "Levels: one look a second at what was known anyway. Where nothing is drawn, they were not known.",
            [1, 33, 27, 1, 1, 1, 1, 1],
        ),
        (
            False,
            False,
            [10 + n / 5 for n in range(11)],
            "Levels are measured since 10 s, when this page was opened. Before that they were not known.",
            [1, 1, 1, 1, 1, 1, 27, 1],
        ),
        (
            False,
            True,
            [10 + n / 5 for n in range(11)],
            "Levels are measured since 10 s, when this page was opened. "
            "Pale: one look a second at what was known anyway.",
            [1, 33, 27, 1, 1, 1, 27, 1],
        ),
        (False, False, [], "", [1, 1] * 4),
    ],
)
async def test_the_strip_says_since_when_levels_are_drawn_and_where_they_come_from(
    open_page: OpenPage, over: bool, history: bool, measured: list[float], about: str, painted: list[int]
) -> None:
    page = await open_page("health/-")
    told, columns = await page.evaluate(STRIP, {"over": over, "history": history, "measured": measured})
    assert told == about
    assert [high for lanes in columns for high in lanes] == pytest.approx(painted, abs=2)


async def test_levels_and_sound_are_offered_where_the_server_has_them(
    server: ServerProcess, open_page: OpenPage, tab: Page
) -> None:
    measured: list[str] = []
    has_them = False

    async def describe(route: Route) -> None:
        document = await (await route.fetch()).json()
        for path in ("/v1/levels", "/v1/streams/{id}/audio"):
            document["paths"].pop(path, None)
            document["paths"] |= {path: {}} if has_them else {}
        await route.fulfill(json=document)

    def levels(socket: WebSocketRoute) -> None:
        found = re.search(r"streams=(\w+)", socket.url)
        assert found
        measured.append(found[1])
        socket.send(json.dumps({"levels": {found[1]: {"caller": -23.4, "us": None}}}))

    await tab.route("**/v1/openapi.json", describe)
    await tab.route_web_socket(re.compile("/v1/levels"), levels)
    async with calling(server, "/silence") as (stream, _):
        page = await open_page(f"stream/{stream}", by="reader")
        await expect(page.locator(".state")).to_have_text("In progress")
        await expect(page.get_by_role("meter")).to_have_count(0)
        await expect(page.get_by_role("button", name="Listen")).to_have_count(0)
        has_them = True
        page = await open_page("live")
        for name in ("live", "stream"):
            caller, us = (page.get_by_role("meter", name=f"Level of {side}") for side in ("the caller", "us"))
            await expect(caller).to_have_attribute("aria-valuenow", "-23")
            await expect(us).to_have_attribute("aria-valuenow", "-60")
            if name == "live":
                await page.locator("tbody a").click()
                await expect(page.get_by_role("button", name="Listen")).to_be_visible()
        assert measured == [stream, stream]
    await page.unroute_all()
    await page.goto(server.admin_url("/"))  # so that the next test asks again what the server has


@contextlib.contextmanager
def nginx(folder: Path, location: str) -> Iterator[str]:
    """An nginx with a location of the docs, and the URL of its root."""
    binary = nginx_binary()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in NGINX_PLACES)
    upgrade = 'map $http_upgrade $connection_upgrade { default upgrade; "" close; }'
    server = f"server {{ listen 127.0.0.1:{port}; {location} }}"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}} http {{ access_log off; {places} {upgrade} {server} }}"
    )
    process = subprocess.Popen([binary, "-c", config, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def test_it_works_in_a_folder_of_a_proxy(
    server: ServerProcess, open_page: OpenPage, tab: Page, tmp_path: Path
) -> None:
    """The docs' own location of nginx, which takes the folder off the path."""
    (location,) = re.findall(r"```nginx\n(.*?)```", page_of_docs("docs/operators/console.md"), re.DOTALL)
    assert "http://127.0.0.1:8081/" in location
    with nginx(tmp_path, location.replace("127.0.0.1:8081", server.admin)) as root:
        async with calling(server, "/silence") as (stream, _):
            await eventually(lambda: answers(root))
            await tab.goto(f"{root}/media-admin/?token=of-the-reader#/stream/{stream}")
            await expect(tab.locator(".state")).to_have_text("In progress")
            await expect(tab.locator(".timeline")).to_contain_text("stream.started")  # by a WebSocket
        await expect(tab.locator(".state")).to_contain_text("Over after")
        await tab.goto(server.admin_url("/"))


def answers(root: str) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(root.rpartition(":")[2]))) == 0
