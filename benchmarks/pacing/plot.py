"""Draws the plot: what a frame costs and how late frames are, against the number of streams.

The plot shows the table that is written in benchmarks/README.md, so that it can be drawn again without a new run.

    python -m benchmarks.pacing.plot
"""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # only `make bench` has it
from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]

from benchmarks.tables import Results, read_section, read_table
from scripts.pictures.figure import BLUE, GREY, ORANGE, STYLE, save

from .contenders import BARE, MEDIA, NAIVE
from .results import COST, LATENESS, SWEEP_TITLE

_HERE = Path(__file__).resolve().parent.parent
_PANELS = {"cost": (COST, "CPU time per frame, µs"), "lateness": (LATENESS, "lateness p99, ms")}
_STYLES = {
    MEDIA: {"color": BLUE, "linewidth": 2.4, "label": "media server"},
    BARE: {"color": GREY, "linewidth": 1.6, "label": "bare loop"},
    NAIVE: {"color": ORANGE, "linewidth": 1.6, "label": "naive aiohttp"},
}
_WIDTH = 190  # characters in a line of the small print under the plot


def draw(page: Path, file: Path) -> None:
    """Draw the results in the section `pacing` of a page. ValueError if the page has no such results."""
    section = read_section(page, "pacing")
    plot(read_table(section, SWEEP_TITLE), section.partition("\n")[0], file)


def plot(sweep: Results, where: str, file: Path) -> None:
    """Draw the table as SVG on white, because pages may be light or dark. Empty cells are left out.

    `where` tells on which machine the table was measured, and when.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.4), layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(_PANELS))
        for panel, (name, (what, title)) in zip(panels, _PANELS.items(), strict=True):
            for contender, style in _STYLES.items():
                points = _points(sweep, f"{contender.name}, {what}")
                look = {"marker": "o", "markersize": 4, "gid": f"{name}-{contender.module or 'media'}", **style}
                panel.plot(list(points), list(points.values()), **look)
            _dress(panel, title, max(int(streams) for streams, *_ in sweep.rows))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
        small_print = "\n".join(textwrap.wrap(f"{sweep.title}. {where}", _WIDTH, break_on_hyphens=False))
        figure.supxlabel(small_print, x=0.01, ha="left", fontsize=7, color=GREY)
        save(figure, file)


def _points(sweep: Results, heading: str) -> dict[int, float]:
    """The values of a column of the table, by the number of streams."""
    column = sweep.headings.index(heading)
    return {int(row[0]): float(row[column]) for row in sweep.rows if row[column]}


def _dress(panel: Any, title: str, most: int) -> None:
    panel.set_title(title, loc="left", fontsize=10)
    panel.set_xlabel("streams, 50 frames a second each")
    panel.set_xlim(0, most * 1.02)
    panel.set_ylim(bottom=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)


if __name__ == "__main__":
    draw(_HERE / "README.md", _HERE / "pacing.svg")
    print("benchmarks/pacing.svg")
