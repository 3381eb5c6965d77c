"""Draws what a frame costs and how late frames are, against the number of streams.

A plot shows the table that is written in benchmarks/README.md, so that it can be drawn again without a new run.
"""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # only `make bench` has it
from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]

from benchmarks.tables import Results, read_section, read_table
from scripts.pictures.figure import GREY, STYLE, save

from .contender import Contender
from .results import COST, LATENESS, SWEEP_TITLE

_PANELS = {"cost": (COST, "CPU time per frame, µs"), "lateness": (LATENESS, "lateness p99, ms")}
_WIDTH = 190  # characters in a line of the small print under the plot
_LEGEND = 4  # lines in a row of the legend

Style = dict[str, Any]


def draw(page: Path, section: str, file: Path, styles: Mapping[Contender, Style]) -> None:
    """Draw the results in a section of a page. ValueError if the page has no such results.

    `styles` has the looks of the lines, by contender. Contenders that the table does not have are left out.
    """
    text = read_section(page, section)
    _plot(read_table(text, SWEEP_TITLE), text.partition("\n")[0], file, styles)


def line_id(panel: str, contender: Contender) -> str:
    """The id that a contender's line has in the SVG."""
    return f"{panel}-{re.sub(r'[^a-z]+', '_', contender.name.lower())}"


def _plot(sweep: Results, where: str, file: Path, styles: Mapping[Contender, Style]) -> None:
    """Draw the table as SVG on white, because pages may be light or dark. Empty cells are left out.

    `where` tells on which machine the table was measured, and when.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.4), layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(_PANELS))
        for panel, (name, (what, title)) in zip(panels, _PANELS.items(), strict=True):
            for contender, style in styles.items():
                if (heading := f"{contender.name}, {what}") in sweep.headings:
                    points = _points(sweep, heading)
                    look = {"marker": "o", "markersize": 4, "linewidth": 1.6, "label": contender.name, **style}
                    panel.plot(list(points), list(points.values()), gid=line_id(name, contender), **look)
            _dress(panel, title, max(int(streams) for streams, *_ in sweep.rows))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), _LEGEND), frameon=False)
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
