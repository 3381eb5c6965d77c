"""Draws what pacing costs, and how late frames are, against the number of streams.

python -m benchmarks.pacing.plot
"""

from pathlib import Path

from benchmarks.contest import plot
from benchmarks.contest.contender import Contender
from scripts.pictures.figure import BLUE, GREEN, GREY, ORANGE

from .contenders import BARE, GO, MEDIA, NAIVE

STYLES: dict[Contender, plot.Style] = {
    MEDIA: {"color": BLUE, "linewidth": 2.4, "label": "media server"},
    BARE: {"color": GREY},
    NAIVE: {"color": ORANGE},
    GO: {"color": GREEN},
}
_HERE = Path(__file__).resolve().parent.parent


def draw() -> None:
    """Draw the results in benchmarks/README.md. ValueError if it has none."""
    plot.draw(_HERE / "README.md", "pacing", _HERE / "pacing.svg", STYLES)


if __name__ == "__main__":
    draw()
    print("benchmarks/pacing.svg")
