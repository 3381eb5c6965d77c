"""The picture of the dashboard: values as Grafana writes them, paths that show the data, and no panel left out."""

import asyncio
import re
import shutil
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts.pictures.dashboard import __main__ as command
from scripts.pictures.dashboard.chart import Chart, stack
from scripts.pictures.dashboard.panels import STEP, ask_all, fill, legend, read_dashboard, substitute, targets
from scripts.pictures.dashboard.prometheus import Series, scraping
from scripts.pictures.dashboard.svg import draw
from scripts.pictures.dashboard.units import formatter, ticks
from scripts.pictures.diagrams.shapes import Rectangle
from tests.pages import page
from tests.project import ROOT
from tests.server.process import serving, write_config
from tests.timing import PATIENCE

PICTURE = ROOT / "docs" / "pictures" / "dashboard.svg"
DASHBOARD = read_dashboard()
BEGIN = 1_700_000_000.0
TIMES = [BEGIN + STEP * n for n in range(60)]
AREA = Rectangle(10, 20, 110, 70)  # 1000 by 500 in the units of paths


def texts(file: Path) -> list[str]:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own file
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def answers() -> dict[str, list[Series]]:
    """An answer to each expression of the dashboard: one series, which has the labels that its legend names."""
    found = {}
    for target in targets(DASHBOARD):
        labels = {name: f"some-{name}" for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
        found[target["expr"]] = [Series(labels, dict.fromkeys(TIMES, 1.0))]
    return found


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("none", 0, "0"),
        ("none", 0.123, "0.123"),
        ("none", 12.3456, "12.3"),
        ("none", 123, "123"),
        ("short", 12_000, "12 K"),
        ("cps", 1.5, "1.5 c/s"),
        ("cps", 1500, "1.5K c/s"),
        ("ops", 0.25, "0.25 ops/s"),
        ("reqps", 3, "3 req/s"),
        ("s", 0.000_002, "2 µs"),
        ("s", 0.0123, "12.3 ms"),
        ("s", 1, "1 s"),
        ("s", 90, "1.5 mins"),
        ("s", 5 * 86_400, "5 days"),
        ("decbytes", 1_500_000, "1.5 MB"),
        ("percentunit", 0.346, "34.6%"),
    ],
)
def test_values_have_their_units(unit: str, value: float, text: str) -> None:
    assert formatter(unit, value)(value) == text


def test_the_values_of_an_axis_have_one_unit() -> None:
    marks = ticks("s", 0.19)
    assert [formatter("s", marks[-1])(mark) for mark in marks] == ["0 s", "100 ms", "200 ms"]


@pytest.mark.parametrize(
    ("largest", "marks"),
    [
        (0, [0, 1]),
        (1, [0, 0.5, 1]),
        (3, [0, 1, 2, 3]),
        (7, [0, 2.5, 5, 7.5]),
        (44, [0, 20, 40, 60]),
        (600, [0, 200, 400, 600]),
    ],
)
def test_an_axis_reaches_up_to_a_round_value(largest: float, marks: list[float]) -> None:
    assert ticks("none", largest) == pytest.approx(marks)


def test_every_unit_of_the_dashboard_is_known() -> None:
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            formatter(panel["fieldConfig"]["defaults"]["unit"], 1.0)


def chart(seconds: float = 100.0) -> Chart:
    return Chart(AREA, (0.0, seconds), 10.0)


def test_a_line_goes_through_its_values() -> None:
    assert chart(2 * STEP).line({0: 0, STEP: 5, 2 * STEP: 10}) == "M0 500l1000-500"
    assert chart(2 * STEP).line({0: 0, STEP: 10, 2 * STEP: 10}) == "M0 500l500-500h500"


def test_a_line_is_interrupted_where_values_are_missing() -> None:
    """The value alone is a dash."""
    assert chart(10 * STEP).line({0: 0, STEP: 0, 5 * STEP: 10}) == "M0 500h100M480 0h40"


def test_an_area_ends_outside_of_the_chart() -> None:
    assert chart(STEP).filled({0: 10, STEP: 10}) == "M-20 520v-520h1040v520z"


def test_bars_stand_on_each_other() -> None:
    one, other = {0.0: 2.0, float(STEP): 3.0}, {float(STEP): 7.0}
    below, above = stack([one, other])
    assert (below, above) == ({0: 2, STEP: 3}, {0: 2, STEP: 10})
    assert chart(10 * STEP).bars(one, below) == "M-40 400h80v100h-80zM60 350h80v150h-80z"
    assert chart(10 * STEP).bars(other, above) == "M60 0h80v350h-80z"


def test_a_state_that_lasts_is_one_band() -> None:
    times = [0, STEP, 2 * STEP, 5 * STEP]
    assert chart(10 * STEP).bands(times, 1, 9) == "M-50 50h300v400h-300zM450 50h100v400h-100z"


def test_expressions_have_values_in_place_of_variables() -> None:
    values = {"job": "a|b", "__rate_interval": "8s"}
    assert substitute('rate(x{job=~"$job"}[$__rate_interval])', values) == 'rate(x{job=~"a|b"}[8s])'
    assert legend("{{reason}} ({{status}})", {"reason": "full", "status": "503"}) == "full (503)"


def test_every_panel_is_drawn_with_its_legend(tmp_path: Path) -> None:
    draw(fill(DASHBOARD, answers()), tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    for panel in DASHBOARD["panels"]:
        assert found.count(panel["title"]) + found.count(f"▾ {panel['title']}") >= 1
        if panel["type"] == "timeseries":
            for target in panel["targets"]:
                assert legend(target["legendFormat"], answers()[target["expr"]][0].labels) in found
    minutes = {time.strftime("%H:%M", time.gmtime(at)) for at in TIMES}
    assert {text for text in found if re.fullmatch(r"\d\d:\d\d", text)} <= minutes


def test_a_panel_without_data_is_an_error(tmp_path: Path) -> None:
    found = answers()
    for target in next(panel for panel in DASHBOARD["panels"] if panel["title"] == "Refusals")["targets"]:
        found[target["expr"]] = []
    with pytest.raises(ValueError, match=r"^panels without data: Refusals$"):
        draw(fill(DASHBOARD, found), tmp_path / "a.svg")


def test_a_legend_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    found = answers()
    (target,) = next(panel for panel in DASHBOARD["panels"] if panel["title"] == "Refusals")["targets"]
    found[target["expr"]] = [Series({"reason": f"a-long-reason-{n}"}, {BEGIN: 1.0}) for n in range(9)]
    with pytest.raises(ValueError, match="the legend of Refusals has"):
        draw(fill(DASHBOARD, found), tmp_path / "a.svg")


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on this machine")
async def test_a_real_prometheus_answers_every_expression(tmp_path: Path) -> None:
    """An expression may be read and yet fail, such as one whose two sides do not fit each other."""
    began = time.time()
    config = write_config(tmp_path, '[paths."/silence"]\nhandler = "silence"')
    with serving(config) as server:
        async with scraping(tmp_path, {"media-1.example.com:8081": server.admin}) as prometheus:
            async with asyncio.timeout(PATIENCE):
                while not await prometheus.label_values("mediaserver_ready", "instance"):
                    await asyncio.sleep(0.1)
            found = await ask_all(prometheus, began, time.time() + STEP)
    (ready,) = found[next(targets(DASHBOARD))["expr"]]
    assert set(ready.values.values()) == {1.0}


def test_without_prometheus_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["dashboard"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert str(ended.value) == (
        'no "prometheus" in PATH: the picture of the dashboard needs it (apt install prometheus)'
    )


def test_the_committed_picture_has_all_panels_in_their_order() -> None:
    titles = [f"▾ {panel['title']}" if panel["type"] == "row" else panel["title"] for panel in DASHBOARD["panels"]]
    found = iter(texts(PICTURE))
    assert [title for title in titles if title not in found] == [], "make dashboard"
    assert PICTURE.stat().st_size < 150_000


@pytest.mark.parametrize("panel", [each for each in DASHBOARD["panels"] if each["type"] == "timeseries"])
def test_the_committed_picture_has_the_legends_of_the_dashboard(panel: dict[str, Any]) -> None:
    """Those that are no label's value. What did not happen in the run may be missing where it is filtered."""
    found = texts(PICTURE)
    for target in panel["targets"]:
        if "{{" not in target["legendFormat"] and " > 0" not in target["expr"]:
            assert target["legendFormat"] in found, "make dashboard"


def test_the_page_says_what_the_picture_is() -> None:
    text = " ".join(page("docs/operators/monitoring.md").split())
    assert "](../pictures/dashboard.svg)" in text
    assert "It is no screenshot of Grafana" in text
