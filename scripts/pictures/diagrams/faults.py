"""Finds faults that make a diagram hard to read: cut or covered texts, and arrows through a box or to nowhere."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from scripts.pictures.diagrams.shapes import Arrow, Box, Diagram, Point, Rectangle, Text

_PADDING = 5  # pixels between a text and the edges of its box
_NEAR = 0.01  # pixels by which a sum of floats may be inexact


def faults(diagram: Diagram) -> list[str]:
    """One sentence for each fault of a diagram."""
    return [*_of_boxes(diagram), *_of_labels(diagram), *_of_arrows(diagram)]


def _of_boxes(diagram: Diagram) -> Iterator[str]:
    page = Rectangle(0, 0, diagram.width, diagram.height)
    for box in (*diagram.boxes, *diagram.frames):
        if box.text and not box.area.holds(_padded(box.label)):
            yield f"the text {box.text!r} is larger than its box"
        if not page.holds(box.area):
            yield f"the box {box.text!r} is beyond the edge"
    for one, other in combinations(diagram.boxes, 2):
        if one.area.overlaps(other.area):
            yield f"the boxes {one.text!r} and {other.text!r} overlap"
    for frame in diagram.frames:
        for box in diagram.boxes:
            if frame.area.overlaps(box.area) and not frame.area.holds(box.area):
                yield f"the box {box.text!r} is across the edge of {frame.text!r}"


def _of_labels(diagram: Diagram) -> Iterator[str]:
    page = Rectangle(0, 0, diagram.width, diagram.height)
    labels = _labels(diagram)
    for label in labels:
        if not page.holds(label.area):
            yield f"the label {_name(label)} is beyond the edge"
        for box in diagram.boxes:
            if label.area.overlaps(box.area):
                yield f"the label {_name(label)} is on the box {box.text!r}"
        for arrow in diagram.arrows:
            if _crosses(arrow, label.area):
                yield f"an arrow leads through the label {_name(label)}"
    for one, other in combinations(labels, 2):
        if one.area.overlaps(other.area):
            yield f"the labels {_name(one)} and {_name(other)} overlap"


def _of_arrows(diagram: Diagram) -> Iterator[str]:
    for arrow in diagram.arrows:
        name = f"the arrow {arrow.text!r} from {tuple(arrow.path[0])}"
        for box in diagram.boxes:
            if _crosses(arrow, box.area):
                yield f"{name} leads through the box {box.text!r}"
        for end in (arrow.path[0], arrow.path[-1]):
            if not any(_is_on_edge(end, box) for box in (*diagram.boxes, *diagram.frames)):
                yield f"{name} ends at no box: {tuple(end)}"
        if any(begin.x != end.x and begin.y != end.y for begin, end in pairwise(arrow.path)):
            yield f"{name} is not straight"


def _labels(diagram: Diagram) -> list[Text]:
    """The labels of arrows, and the titles of frames."""
    of_arrows = [arrow.label for arrow in diagram.arrows if arrow.label is not None]
    return [*of_arrows, *(frame.label for frame in diagram.frames)]


def _name(label: Text) -> str:
    return repr(" ".join(label.lines))


def _padded(text: Text) -> Rectangle:
    left, top, right, bottom = text.area
    return Rectangle(left - _PADDING, top, right + _PADDING, bottom)


def _crosses(arrow: Arrow, area: Rectangle) -> bool:
    """Whether a stretch of an arrow overlaps an area. All stretches are horizontal or vertical."""
    return any(
        area.overlaps(
            Rectangle(
                min(begin.x, end.x) + _NEAR,
                min(begin.y, end.y) + _NEAR,
                max(begin.x, end.x) - _NEAR,
                max(begin.y, end.y) - _NEAR,
            )
        )
        for begin, end in pairwise(arrow.path)
    )


def _is_on_edge(point: Point, box: Box) -> bool:
    left, top, right, bottom = box.area
    level = left <= point.x <= right and min(abs(point.y - top), abs(point.y - bottom)) < _NEAR
    upright = top <= point.y <= bottom and min(abs(point.x - left), abs(point.x - right)) < _NEAR
    return level or upright
