"""The picture: what a frame costs and how late frames are, against the number of streams."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]  # only `make bench` has it

from .contenders import BARE, MEDIA, NAIVE, Contender
from .rounds import Measured

_PANELS = {"us_per_frame": "CPU time per frame, µs", "lateness_p99": "lateness p99, ms"}
_STYLES = {  # colours that the colour-blind tell apart (Okabe and Ito)
    MEDIA: {"color": "#0072B2", "linewidth": 2.4, "label": "media server"},
    BARE: {"color": "#555555", "linewidth": 1.6, "label": "bare loop"},
    NAIVE: {"color": "#D55E00", "linewidth": 1.6, "label": "naive aiohttp"},
}


def plot(measured: Measured, contenders: Sequence[Contender], sweep: Sequence[int], file: Path) -> Path:
    """Draw it as PNG, on white: pages are light and dark. A run in which something went wrong is left out."""
    figure = Figure(figsize=(10, 4.2), layout="constrained", facecolor="white")
    for panel, (key, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for contender in contenders:
            found = {streams: measured.healthy(contender, streams) for streams in sweep}
            points = {streams: figures[key] for streams, figures in found.items() if figures}
            panel.plot(list(points), list(points.values()), marker="o", markersize=4, **_STYLES[contender])
        _dress(panel, title, sweep)
    figure.savefig(file, dpi=130)
    return file


def _dress(panel: Any, title: str, sweep: Sequence[int]) -> None:
    panel.set_title(title, loc="left", fontsize=11)
    panel.set_xlabel("streams, 50 frames a second each")
    panel.set_xlim(0, max(sweep) * 1.02)
    panel.set_ylim(bottom=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    panel.legend(frameon=False)
