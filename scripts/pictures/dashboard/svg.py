"""Writes the dashboard as SVG: its panels at their places, in the light colours of Grafana."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from scripts.pictures.dashboard.chart import FINE, Chart, Values, stack
from scripts.pictures.dashboard.panels import Panel
from scripts.pictures.dashboard.units import formatter, ticks
from scripts.pictures.diagrams.shapes import FONT, Rectangle, text_width
from scripts.pictures.diagrams.svg import FONTS

_WIDTH = 900  # pixels
_COLUMNS, _ROW = 24, 21  # units of Grafana's grid in the width, and the pixels of one in the height
_GAP, _MARGIN = 6, 10  # pixels between two panels, and around the dashboard
_SMALL, _TITLE, _VALUE = 9.5, 11, 24  # sizes of fonts, in pixels
_HEAD, _AXIS, _LINE = 26, 14, 12  # the heights of a panel's title, of its time axis, and of a line of its legend
_INSET, _SWATCH, _SPACE = 8, 12, 9  # pixels at a panel's sides, of a legend's swatch, and between two names
_LEGEND_LINES, _LEGEND_WIDTH = 3, 0.42  # the most lines of a legend, and the share of a legend on the right
_SPARK = 22  # the height of the line in a stat
_INK, _GREY = "#24292e", "#5b6167"
# Okabe and Ito's colours, which colour-blind readers can tell apart, and others after them.
_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8C6BB1",
    "#7F7F7F",
    "#A6761D",
    "#66A61E",
)
_STATES = {"green": "#009E73", "orange": "#D55E00", "red": "#c4162a", "text": _INK}
_STYLE = f"""
text{{fill:{_GREY};font-size:{_SMALL}px}}path{{stroke-linejoin:round}}
.panel{{fill:#fff;stroke:#dcdfe3}}.title{{font-size:{_TITLE}px;fill:{_INK};font-weight:bold}}
.row{{font-size:13px;fill:{_INK};font-weight:bold}}.value{{font-weight:bold;text-anchor:middle}}
.end{{text-anchor:end}}.middle{{text-anchor:middle}}.rule{{stroke:#e3e5e8}}
.line{{fill:none;stroke-width:{1.2 * FINE:g}}}.dots{{stroke-linecap:round;stroke-width:{2 * FINE}}}
.area{{stroke-width:{FINE}}}.limit{{stroke:#c4162a;stroke-dasharray:4 3}}
"""


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Write the dashboard into a file. ValueError names the panels that have no data."""
    if empty := [panel.title for panel in panels if panel.kind != "row" and panel.is_empty]:
        raise ValueError(f"panels without data: {', '.join(empty)}")
    page = _Page(panels)
    for panel in panels:
        {"row": _row, "stat": _stat, "timeseries": _time_series, "state-timeline": _states}[panel.kind](
            page, panel
        )
    ElementTree.indent(page.root, space="")
    file.write_text(ElementTree.tostring(page.root, encoding="unicode") + "\n", encoding="utf-8")


class _Page:
    """The SVG while it is drawn. `span` is the begin and the end of the time axis, in Unix time."""

    def __init__(self, panels: Sequence[Panel]) -> None:
        times = [at for panel in panels for line in panel.lines for at in line.values]
        self.span = min(times), max(times)
        self._clips = 0
        height = max(panel.place.y + panel.place.height for panel in panels) * _ROW + 2 * _MARGIN - _GAP
        size = {"width": f"{_WIDTH}", "height": f"{height}"}
        self.root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_WIDTH} {height}")
        self.root.attrib |= {**size, "role": "img", "font-family": FONTS}
        SubElement(self.root, "title").text = "The dashboard of a run under load"
        SubElement(self.root, "style").text = _STYLE
        SubElement(self.root, "rect", {**size, "fill": "#f4f5f5"})

    def text(self, x: float, y: float, text: str, look: str = "", **more: str) -> None:
        """Write a line of text, whose look is a class."""
        looks = {"class": look} if look else {}
        SubElement(self.root, "text", {"x": f"{x:.4g}", "y": f"{y:.5g}", **looks, **more}).text = text

    def rule(self, left: float, right: float, y: float, look: str = "rule") -> None:
        """Draw a horizontal line, whose look is a class."""
        SubElement(self.root, "path", {"class": look, "d": f"M{left:.4g} {y:.5g}H{right:.4g}"})

    def box(self, area: Rectangle, **look: str) -> None:
        """Draw a rectangle."""
        left, top, right, bottom = area
        place = {
            "x": f"{left:.4g}",
            "y": f"{top:.5g}",
            "width": f"{right - left:.4g}",
            "height": f"{bottom - top:.4g}",
        }
        SubElement(self.root, "rect", {**place, **look})

    def inside(self, chart: Chart) -> Element:
        """A group in which the paths of a chart are drawn. What is outside of the chart is cut off."""
        (width, height), self._clips = chart.size, self._clips + 1
        clip = SubElement(self.root, "clipPath", {"id": f"c{self._clips}"})
        SubElement(clip, "path", {"d": f"M0-{FINE}H{width}V{height + FINE // 2}H0z"})
        place = f"translate({chart.area.left:.4g} {chart.area.top:.5g})scale({1 / FINE:g})"
        return SubElement(self.root, "g", {"transform": place, "clip-path": f"url(#c{self._clips})"})

    def area_of(self, panel: Panel) -> Rectangle:
        """The area that a panel has on the page."""
        column = (_WIDTH - 2 * _MARGIN + _GAP) / _COLUMNS
        x, y, width, height = panel.place
        left, top = _MARGIN + x * column, _MARGIN + y * _ROW
        return Rectangle(left, top, left + width * column - _GAP, top + height * _ROW - _GAP)

    def frame(self, panel: Panel) -> Rectangle:
        """Draw the frame and the title of a panel, and return its area."""
        area = self.area_of(panel)
        self.box(area, rx="2", **{"class": "panel"})
        self.text(area.left + _INSET, area.top + 15, panel.title, "title")
        return area


def _row(page: _Page, panel: Panel) -> None:
    area = page.area_of(panel)
    page.text(area.left, area.bottom - 2, f"▾ {panel.title}", "row")


def _stat(page: _Page, panel: Panel) -> None:
    """Draw the last value of the only line, in the colour of its threshold, and the line below it."""
    area, (line, *_), defaults = page.frame(panel), panel.lines, panel.defaults
    value = line.values[max(line.values)]
    steps = defaults["thresholds"]["steps"]
    colour = _STATES[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]
    if panel.options["graphMode"] == "area":
        place = Rectangle(area.left + 1, area.bottom - _SPARK, area.right - 1, area.bottom - 1)
        chart = Chart(place, page.span, 1.05 * max(*line.values.values(), 1e-9))
        look = {"class": "area", "fill": _light(colour), "stroke": colour}
        SubElement(page.inside(chart), "path", {**look, "d": chart.filled(line.values)})
    if panel.options["textMode"] == "name":
        text = line.name
    elif "decimals" in defaults:
        text = f"{value:.{defaults['decimals']}f}"
    else:
        text = formatter(defaults["unit"], value)(value)
    page.text(
        (area.left + area.right) / 2, area.top + 46, text, "value", style=f"fill:{colour};font-size:{_VALUE}px"
    )


def _time_series(page: _Page, panel: Panel) -> None:
    area, custom, unit = page.frame(panel), panel.custom, panel.defaults["unit"]
    colours = {line.name: _COLOURS[number % len(_COLOURS)] for number, line in enumerate(panel.lines)}
    room = _legend(page, panel, area, colours)
    lines = [line.values for line in panel.lines]
    tops = stack(lines) if "stacking" in custom else lines
    largest = max((value for top in tops for value in top.values()), default=0.0)
    marks = ticks(unit, panel.defaults.get("max", largest))
    write = formatter(unit, marks[-1])
    left = area.left + _INSET + 4 + max(_measure(write(mark)) for mark in marks)
    chart = Chart(Rectangle(left, *room[1:]), page.span, marks[-1])
    for mark in marks:
        page.rule(left, room.right, chart.y(mark))
        page.text(left - 4, chart.y(mark) + 3, write(mark), "end")
    _time_axis(page, chart)
    _draw_lines(page.inside(chart), chart, panel, list(zip(lines, tops, colours.values(), strict=True)))
    if custom.get("thresholdsStyle", {}).get("mode") == "line":
        limit = panel.defaults["thresholds"]["steps"][-1]["value"]
        if limit <= marks[-1]:
            page.rule(left, room.right, chart.y(limit), "limit")


def _draw_lines(group: Element, chart: Chart, panel: Panel, lines: list[tuple[Values, Values, str]]) -> None:
    """Draw lines, areas or bars. Of each there are the values, the upper ends and the colour."""
    for values, top, colour in reversed([line for line in lines if line[0]]):
        if panel.custom["drawStyle"] == "bars":
            look = {"fill": colour, "d": chart.bars(values, top)}
        elif "stacking" in panel.custom:
            look = {"class": "area", "fill": _light(colour), "stroke": colour, "d": chart.filled(top)}
        else:
            dots = " dots" if panel.custom["showPoints"] == "auto" else ""
            look = {"class": f"line{dots}", "stroke": colour, "d": chart.line(top)}
        if look["d"]:
            SubElement(group, "path", look)


def _states(page: _Page, panel: Panel) -> None:
    """Draw a bar for each line, in the colours of the states that its values stand for."""
    (mapping,) = panel.defaults["mappings"]
    states: dict[str, dict[str, Any]] = mapping["options"]
    area = page.frame(panel)
    room = _legend(page, panel, area, {state["text"]: _STATES[state["color"]] for state in states.values()})
    left = area.left + _INSET + 4 + max(_measure(line.name) for line in panel.lines)
    chart = Chart(Rectangle(left, *room[1:]), page.span, len(panel.lines))
    group = page.inside(chart)
    for number, line in enumerate(panel.lines):
        page.text(left - 4, chart.y(number + 0.5) + 3, line.name, "end")
        for value, state in states.items():
            times = [at for at, each in line.values.items() if each == float(value)]
            if times:
                look = {"fill": _STATES[state["color"]], "fill-opacity": ".7"}
                SubElement(group, "path", {**look, "d": chart.bands(times, number + 0.1, number + 0.9)})
    _time_axis(page, chart)


def _time_axis(page: _Page, chart: Chart) -> None:
    for at in chart.full_minutes():
        page.text(chart.x(at), chart.area.bottom + 12, time.strftime("%H:%M", time.gmtime(at)), "middle")


def _legend(page: _Page, panel: Panel, area: Rectangle, names: dict[str, str]) -> Rectangle:
    """Draw the legend, names and their colours, below the chart or on its right. Returns the room for the chart.

    ValueError if the legend has more lines than there is room for.
    """
    right = panel.options["legend"]["placement"] == "right"
    left = area.right - (area.right - area.left) * _LEGEND_WIDTH if right else area.left + _INSET
    places, x, row = [], left, 0
    for name in names:
        width = _SWATCH + _measure(name)
        if x > left and x + width > area.right - 2:
            x, row = left, row + 1
        places.append((x, row))
        x += width + _SPACE
    most = int((area.bottom - area.top - _HEAD) // _LINE) if right else _LEGEND_LINES
    if row >= most:
        raise ValueError(
            f"the legend of {panel.title} has {row + 1} lines, and room for {most}: {', '.join(names)}"
        )
    top = area.top + _HEAD + 6 if right else area.bottom - 7 - row * _LINE
    for (name, colour), (x, row) in zip(names.items(), places, strict=True):
        y = top + row * _LINE
        SubElement(page.root, "path", {"d": f"M{x:.4g} {y - 3:.5g}h9", "stroke": colour, "stroke-width": "3"})
        page.text(x + _SWATCH, y, name)
    if right:
        return Rectangle(area.left, area.top + _HEAD, left - 10, area.bottom - 6 - _AXIS)
    return Rectangle(area.left, area.top + _HEAD, area.right - _INSET, top - _LINE - _AXIS)


def _measure(text: str) -> float:
    """The width of a small text in pixels."""
    return text_width(text) * _SMALL / FONT


def _light(colour: str) -> str:
    """A colour as it looks on white with an opacity of 20 %."""
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.2):02x}" for part in parts)
