"""The picture: what a frame costs and how late frames are, against the number of streams."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]  # only `make bench` has it

from .contenders import BARE, MEDIA, NAIVE, Contender
from .rounds import Measured

_PANELS = (
    ("us_per_frame", "CPU time per frame, µs"),
    ("lateness_p99", "lateness p99, ms (log scale)"),
)
_STYLES = {  # colours that the colour-blind tell apart (Okabe and Ito)
    MEDIA: {"color": "#0072B2", "linewidth": 2.4, "label": "media server"},
    BARE: {"color": "#555555", "linewidth": 1.6, "label": "bare loop"},
    NAIVE: {"color": "#D55E00", "linewidth": 1.6, "label": "naive aiohttp"},
}
_GREY = "#666666"
_GAP = 0.07  # of a panel's height, between two names


def plot(measured: Measured, contenders: Sequence[Contender], sweep: Sequence[int], file: Path) -> Path:
    """Draw it as PNG, on white: pages are light and dark."""
    figure = Figure(figsize=(10, 4.2), layout="constrained", facecolor="white")
    for panel, (key, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        ends = [_line(panel, measured, contender, sweep, key) for contender in contenders]
        _dress(panel, title, sweep)
        if key == "lateness_p99":
            _spread(panel)
        else:
            panel.set_ylim(bottom=0)
        _label(panel, ends)
    figure.savefig(file, dpi=130)
    return file


def _line(
    panel: Any, measured: Measured, contender: Contender, sweep: Sequence[int], key: str
) -> tuple[float, float, dict[str, Any]]:
    """Draw one, and give where it ends and its style."""
    found = {streams: measured.medians(contender, streams) for streams in sweep}
    points = [(streams, figures[key]) for streams, figures in found.items() if figures]
    panel.plot(*zip(*points, strict=True), marker="o", markersize=4, **_STYLES[contender])
    return (*points[-1], _STYLES[contender])


def _dress(panel: Any, title: str, sweep: Sequence[int]) -> None:
    panel.set_title(title, loc="left", fontsize=11, color="#222222")
    panel.set_xlabel("streams, 50 frames a second each", color=_GREY)
    panel.set_xlim(0, max(sweep) * 1.02)
    panel.set_xticks(sorted({0, *sweep} - {100, 200}))
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#bbbbbb")
    panel.tick_params(colors=_GREY)
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)


def _spread(panel: Any) -> None:
    """Who is late is late by many times as much."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(min(0.03, low), max(20, high))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()


def _label(panel: Any, ends: Sequence[tuple[float, float, dict[str, Any]]]) -> None:
    """Each line's name beside its end; names that would lie on each other are moved apart."""
    to_height = panel.transData + panel.transAxes.inverted()  # of data to fractions of the panel
    heights = [to_height.transform((x, y))[1] for x, y, _ in ends]
    height = float("-inf")
    for here, (x, _, style) in sorted(zip(heights, ends, strict=True), key=lambda pair: pair[0]):
        height = max(here, height + _GAP)
        place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
        place["xycoords"] = ("data", "axes fraction")
        panel.annotate(style["label"], (x, height), color=style["color"], fontsize=10, **place)
