"""The common style of all SVG plots: text stays text, and one version of matplotlib gives reproducible files."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart as well.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
GREEN, SKY, PURPLE, YELLOW = "#009E73", "#56B4E9", "#CC79A7", "#E69F00"
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mediaserver", "font.size": 9, "font.family": "sans-serif"}


def save(figure: Figure, file: Path) -> None:
    """Write a figure as SVG, without the date."""
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    lines = file.read_text(encoding="utf-8").splitlines()  # matplotlib leaves blanks at lines' ends
    file.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
