"""The page of `check --html`: what it shows, and that it needs nothing and runs nothing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mediaserver.cli.report_page import render_page, write_page
from mediaserver.errors import ConfigError
from tests.cli.test_check import found
from tests.sound import sine, speechlike, write_wav

SILENT = '[paths."/silence"]\nhandler = "silence"\n'
VOID = {"meta"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text; an element that is not closed is a mistake."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += [data] if data.strip() and self._open[-1] != "style" else []

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


async def page_of(folder: Path, text: str = SILENT) -> str:
    return render_page(await found(folder, text), "config.toml")


async def test_the_page_has_the_figures_warnings_and_waveform_of_each_prompt(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/voice.wav", speechlike(16_000) // 4)
    write_wav(tmp_path / "prompts/off.wav", speechlike(16_000) // 8 + 3604)
    (tmp_path / "prompts/broken.wav").write_bytes(b"no sound")
    page = Page(await page_of(tmp_path))
    assert page.texts[:2] == ["Prompts of config.toml"] * 2  # the title, and the heading
    assert "2 prompts, 1 with warnings" in page.texts
    assert page.texts.count("has a DC offset of 11.0 % of full scale, which is removed") == 1
    assert any("broken.wav: is not a WAV file" in text for text in page.texts)
    assert [svg["aria-label"] for svg in page.of("svg")] == ["Waveform of off", "Waveform of voice"]
    assert [link["href"] for link in page.of("a")] == ["#p0", "#p1"]
    assert [article["id"] for article in page.of("article")] == ["p0", "p1"]
    row = page.texts.index("11.0")  # in the row of `off`
    assert page.texts[row + 1 : row + 4] == ["0", "0.0", "0.0"]


async def test_a_waveform_is_drawn_to_scale(tmp_path: Path) -> None:
    half = np.rint(sine(1000, 2.4, 8000, 0.5) * 32768)
    half[9600:] /= 5
    write_wav(tmp_path / "prompts/a.wav", half)
    (svg,), outline = (page := Page(await page_of(tmp_path))).of("svg"), page.of("path")[0]["d"] or ""
    assert svg["viewbox"] == "0 0 239 200"
    points = [tuple(map(int, pair.split())) for pair in outline.strip("MZ").split(" L")]
    assert [x for x, _ in points] == [*range(240), *reversed(range(240))]
    assert [points[x] for x in (10, 200)] == [(10, 50), (200, 90)]
    assert [points[-1 - x] for x in (10, 200)] == [(10, 150), (200, 110)]


async def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    for name in ("<script>alert(1)", '"onload="x', "a&b", "\x1b[31mred"):
        write_wav(tmp_path / f"prompts/{name}.wav", speechlike(4000))
    html = await page_of(tmp_path)
    page = Page(html)
    loading = {"script", "link", "img", "iframe", "object", "base", "form"}
    assert {tag for tag, _ in page.elements}.isdisjoint(loading)
    attributes = {name for _, each in page.elements for name in each}
    assert attributes.isdisjoint({"src", "srcset", "style", "action"})
    assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?:|//|url\(|@import", html.replace("</", ""))
    assert "default-src 'none'" in html
    names = [text for text in page.texts if "alert" in text or "onload" in text or "a&b" in text or "red" in text]
    assert set(names) == {"<script>alert(1)", '"onload="x', "a&b", "\\x1b[31mred"}


async def test_the_page_is_for_phones_and_for_dark_and_light(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    html = await page_of(tmp_path)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "prefers-color-scheme: dark" in html
    assert "0 prompts, 0 with warnings" in html


async def test_the_page_is_written_or_the_reason_is_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/a.wav", speechlike(4000))
    findings = await found(tmp_path, SILENT)
    write_page(tmp_path / "page.html", findings, "c.toml")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == render_page(findings, "c.toml")
    with pytest.raises(ConfigError, match=r"--html: .*/none/page.html cannot be written: No such file"):
        write_page(tmp_path / "none/page.html", findings, "c.toml")
