"""What all plots as SVG have in common: text stays text, and one matplotlib gives one file for the same figure."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"  # told apart by the colour-blind too (Okabe and Ito)
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mediaserver", "font.size": 9, "font.family": "sans-serif"}


def save(figure: Figure, file: Path) -> None:
    """Write the figure."""
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    lines = file.read_text(encoding="utf-8").splitlines()  # which matplotlib leaves with blanks at their ends
    file.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
