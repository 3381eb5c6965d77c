"""The plots of the benchmarks: what they show is the table that is written."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.contest.contender import Contender
from benchmarks.contest.results import COST, LATENESS, SWEEP_TITLE, sweep_table
from benchmarks.inbound import contenders as inbound
from benchmarks.pacing import contenders as pacing
from benchmarks.pacing.contenders import BARE, GO, MEDIA, NAIVE
from benchmarks.tables import read_section, read_table, write_section
from tests.benchmarks.reports import measured_of, report_of
from tests.project import ROOT

pytest.importorskip("matplotlib", reason="`make bench` installs it")

from benchmarks.contest.plot import draw, line_id
from benchmarks.inbound.plot import styles as inbound_styles
from benchmarks.pacing.plot import STYLES

SVG = "{http://www.w3.org/2000/svg}"
SWEPT = {"pacing": pacing.SWEPT, "inbound": inbound.contest("audiosocket").swept}


def points(file: Path) -> dict[str, list[tuple[float, float]]]:
    """The points of each line, by its id."""
    groups = ElementTree.parse(file).getroot().iter(f"{SVG}g")  # noqa: S314 - our own file
    lines = {each.get("id", ""): each.find(f"{SVG}path") for each in groups}
    return {
        name: [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", line.get("d", ""))]
        for name, line in lines.items()
        if line is not None and name.startswith(("cost-", "lateness-"))
    }


def scaled(values: list[float]) -> list[float]:
    """From 0 for the least to 1 for the most."""
    return [(value - min(values)) / (max(values) - min(values)) for value in values]


def test_a_plot_shows_the_table_of_a_page_without_its_empty_cells(tmp_path: Path) -> None:
    result = measured_of({BARE: [4.0], NAIVE: [8.0], MEDIA: [6.0]})
    result.reports[BARE, 100].append(report_of(own_core=0.95))
    sweep = sweep_table(result, (BARE, NAIVE, MEDIA), (100, 200), "one round")
    page, file = tmp_path / "page.md", tmp_path / "pacing.svg"
    page.write_text("<!-- pacing -->\n<!-- /pacing -->\n")
    write_section(page, "pacing", f"An abacus; 2026-01-31.\n\n{sweep.as_markdown()}")
    draw(page, "pacing", file, STYLES)
    found = points(file)
    assert GO in STYLES  # which is not in the table
    assert {name: len(line) for name, line in found.items()} == {
        line_id(panel, contender): count
        for panel in ("cost", "lateness")
        for contender, count in ((MEDIA, 2), (BARE, 1), (NAIVE, 2))
    }
    (_, cost), (_, same) = found[line_id("cost", MEDIA)]
    (_, late), (_, later) = found[line_id("lateness", MEDIA)]
    assert cost == same  # 6 µs with 100 streams and with 200
    assert later < late  # which is higher up
    assert f"{sweep.title}. An abacus; 2026-01-31." in file.read_text()


def test_every_contender_has_a_line_of_its_own_look() -> None:
    for swept, styles in ((SWEPT["pacing"], STYLES), (SWEPT["inbound"], inbound_styles())):
        assert set(styles) == set(swept)
        assert len({line_id("cost", each) for each in swept}) == len(swept)
        assert len({style["color"] for style in styles.values()}) == len(swept)


@pytest.mark.parametrize(("name", "swept"), SWEPT.items(), ids=SWEPT)
def test_the_committed_plot_shows_the_figures_that_are_written(name: str, swept: Sequence[Contender]) -> None:
    written = read_section(ROOT / "benchmarks/README.md", name)
    file = ROOT / f"benchmarks/{name}.svg"
    assert file.exists() == (SWEEP_TITLE in written)
    if not file.exists():  # nobody has measured it, and written it down
        return
    sweep = read_table(written, SWEEP_TITLE)
    shown = points(file)
    assert len(shown) == len(sweep.headings) - 1
    for panel, what in (("cost", COST), ("lateness", LATENESS)):
        headings = {line_id(panel, each): f"{each.name}, {what}" for each in swept}
        columns = {line: sweep.headings.index(text) for line, text in headings.items() if text in sweep.headings}
        cells = [(row[0], row[column]) for column in columns.values() for row in sweep.rows]
        streams, figures = zip(*((float(n), float(cell)) for n, cell in cells if cell), strict=True)
        xs, ys = zip(*(point for line in columns for point in shown[line]), strict=True)
        assert scaled(list(xs)) == pytest.approx(scaled(list(streams)), abs=1e-4), "make pictures"
        assert scaled([-y for y in ys]) == pytest.approx(scaled(list(figures)), abs=1e-4), "make pictures"
    assert written.partition("\n")[0].split()[-1] in file.read_text()  # the day of the run
