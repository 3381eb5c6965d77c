"""Draws what two-way streams cost, and how late frames are, against the number of streams.

python -m benchmarks.inbound.plot
"""

from pathlib import Path

from benchmarks.contest import plot
from benchmarks.contest.contender import Contender
from benchmarks.contest.results import SWEEP_TITLE
from benchmarks.tables import read_section
from scripts.pictures.figure import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, YELLOW

from .contenders import contest
from .results import PICTURE

_HERE = Path(__file__).resolve().parent.parent
_COLOURS = {
    "prompt": BLUE,
    "echo": SKY,
    "record": GREEN,
    "menu": YELLOW,
    "analyse": PURPLE,
    "Go, reads and drops": GREY,
    "Go, echo": ORANGE,
}


def styles() -> dict[Contender, plot.Style]:
    """The looks of the lines; those of Go are dashed."""
    swept = {each.name: each for each in contest("audiosocket").swept}
    return {
        swept[name]: {"color": colour, "linestyle": "--" if swept[name].yardstick else "-"}
        for name, colour in _COLOURS.items()
    }


def draw() -> None:
    """Draw the results in benchmarks/README.md. ValueError if it has none."""
    plot.draw(_HERE / "README.md", "inbound", _HERE / PICTURE, styles())


if __name__ == "__main__":
    if SWEEP_TITLE in read_section(_HERE / "README.md", "inbound"):
        draw()
        print(f"benchmarks/{PICTURE}")
    else:
        print(f"benchmarks/{PICTURE}: nothing is measured yet, which `make bench-inbound ARGS=--write` does")
