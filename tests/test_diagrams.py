"""The diagrams of the docs: what does not read well is refused, and the committed ones are as drawn."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.pictures.diagrams import DIAGRAMS, svg
from scripts.pictures.diagrams.faults import faults
from scripts.pictures.diagrams.shapes import Arrow, Box, Diagram, Frame, Kind, Point, Side, Text
from tests.pages import DOCS, PAGES, README, blocks, page
from tests.project import ROOT

FOLDER = ROOT / "docs" / "pictures"
LEFT, RIGHT = Box("left", 20, 60, 60, 40), Box("right", 220, 60, 60, 40, Kind.OTHERS)
BETWEEN = Box("between", 100, 60, 100, 40)
GOOD = Diagram("Good", "Left goes right.", 300, 140, [LEFT, RIGHT], [Arrow([LEFT.right(), RIGHT.left()], "goes")])


def texts(file: Path) -> list[str]:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own file
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_committed_diagram_is_the_one_that_is_drawn(name: str, tmp_path: Path) -> None:
    diagram, fresh = DIAGRAMS[name](), tmp_path / "fresh.svg"
    svg.write(diagram, fresh)
    assert (FOLDER / f"{name}.svg").read_text() == fresh.read_text(), "make pictures"
    labels = [arrow.label for arrow in diagram.arrows if arrow.label]
    shown = [*(box.label for box in (*diagram.frames, *diagram.boxes) if box.text), *labels]
    assert sorted(texts(fresh)) == sorted(line for text in shown for line in text.lines)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_page_shows_the_diagram_and_tells_what_it_shows_to_those_who_cannot_see_it(name: str) -> None:
    shown = f"![{DIAGRAMS[name]().description}]("
    assert any(shown in page(path) for path in (README, *DOCS))


def test_no_page_has_a_diagram_that_only_github_draws() -> None:
    assert [path for path in PAGES if blocks(page(path), "mermaid")] == []


def test_what_reads_well_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (
            replace(GOOD, boxes=[replace(LEFT, text="left and more"), RIGHT]),
            "'left and more' is larger than its box",
        ),
        (replace(GOOD, boxes=[replace(LEFT, text="a\nb\nc"), RIGHT]), "'a\\nb\\nc' is larger than its box"),
        (replace(GOOD, boxes=[*GOOD.boxes, BETWEEN]), "'goes' from (80, 80.0) leads through the box 'between'"),
        (replace(GOOD, boxes=[*GOOD.boxes, replace(LEFT, text="on", y=90)]), "the boxes 'left' and 'on' overlap"),
        (replace(GOOD, width=270), "the box 'right' is beyond the edge"),
        (replace(GOOD, arrows=[Arrow(GOOD.arrows[0].path, "goes as far as the other")]), "is on the box"),
        (
            replace(GOOD, arrows=[Arrow([LEFT.top(), Point(50, 5), Point(240, 5), RIGHT.top(1 / 3)], "up")]),
            "beyond",
        ),
        (replace(GOOD, arrows=[Arrow([LEFT.right(), Point(150, 80)])]), "ends at no box: (150, 80)"),
        (replace(GOOD, arrows=[Arrow([LEFT.right(0.2), RIGHT.left(0.8)])]), "is not straight"),
        (
            replace(GOOD, arrows=[*GOOD.arrows, Arrow([RIGHT.left(), LEFT.right()], "back")]),
            "'goes' and 'back' overlap",
        ),
        (
            replace(GOOD, arrows=[*GOOD.arrows, Arrow([LEFT.right(0.2), RIGHT.left(0.2)])]),
            "through the label 'goes'",
        ),
        (replace(GOOD, frames=[Frame("frame", 10, 10, 250, 120)]), "'right' is across the edge of 'frame'"),
    ],
)
def test_what_does_not_read_well_is_refused(bad: Diagram, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Good: ") as refused:
        svg.write(bad, tmp_path / "bad.svg")
    assert fault in str(refused.value)
    assert not (tmp_path / "bad.svg").exists()


@pytest.mark.parametrize(
    ("side", "x", "y"), [("above", 150, 64.5), ("below", 150, 95.5), ("left", 143, 80), ("right", 157, 80)]
)
def test_a_label_stands_beside_the_longest_stretch_of_its_arrow(side: str, x: float, y: float) -> None:
    label = Arrow([Point(50, 80), Point(250, 80), Point(250, 90)], "goes", Side(side)).label
    assert label is not None
    assert (label.x, label.y) == (x, y)


def test_the_width_of_a_text_is_that_of_a_wide_font() -> None:
    area = Text(["every 20 ms", "a frame"], 100, 50).area
    assert (area.left + area.right, area.top, area.bottom) == (200, 33, 67)
    assert area.right - area.left == pytest.approx(79, abs=2)  # in Arial 67
