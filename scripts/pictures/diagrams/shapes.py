"""The shapes of a diagram. Lengths are in pixels, from the upper left corner; y grows downwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import dist
from typing import NamedTuple

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = 13  # the size of the font in pixels
LINE = 17  # pixels from one line of text to the next
RIM = 6  # pixels: half the height of the ellipse on top of a cylinder
_GAP = 7  # pixels between an arrow and its label
_DEJAVU = FontProperties(family="DejaVu Sans", size=FONT)  # matplotlib contains this font
_BOLD = FontProperties(family="DejaVu Sans", size=FONT, weight="bold")


def text_width(text: str, bold: bool = False) -> float:
    """The width of a line of text in DejaVu Sans, in pixels. In Arial or Helvetica, the text takes less."""
    width: float = text_to_path.get_text_width_height_descent(text, _BOLD if bold else _DEJAVU, ismath=False)[0]
    return width


class Point(NamedTuple):
    """A point in a diagram, in pixels."""

    x: float
    y: float


class Rectangle(NamedTuple):
    """A rectangular area of a diagram, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Rectangle") -> bool:
        """Whether two rectangles have more than an edge in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: "Rectangle") -> bool:
        """Whether the rectangle `other` is within this rectangle."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


class Anchor(StrEnum):
    """The part of a text that is at the text's x, as SVG names it."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


class Side(StrEnum):
    """The side of an arrow on which its label stands."""

    ABOVE = "above"
    BELOW = "below"
    LEFT = "left"
    RIGHT = "right"


class Kind(StrEnum):
    """The kind of thing that a box stands for, which decides the box's colours and form."""

    OURS = "ours"  # a part of the server
    OTHERS = "others"  # a system that the server talks with
    STORE = "store"  # a store of data, drawn as a cylinder
    STATE = "state"  # a state in a state diagram, drawn with round ends
    BEGIN = "begin"  # the begin of a state diagram, drawn as a dot without a text
    END = "end"  # an end of a state diagram, drawn as a dot in a ring


@dataclass(frozen=True)
class Text:
    """Lines of text. `y` is the middle of the lines' whole height."""

    lines: Sequence[str]
    x: float
    y: float
    anchor: Anchor = Anchor.MIDDLE
    bold: bool = False

    @property
    def area(self) -> Rectangle:
        """The area that the text takes in DejaVu Sans. In Arial or Helvetica, the text takes less."""
        width, half = max(text_width(line, self.bold) for line in self.lines), LINE * len(self.lines) / 2
        left = self.x - {Anchor.START: 0.0, Anchor.MIDDLE: width / 2, Anchor.END: width}[self.anchor]
        return Rectangle(left, self.y - half, left + width, self.y + half)


@dataclass(frozen=True)
class Box:
    """A box with its text in the middle. `left`, `right`, `top` and `bottom` are points where arrows may end."""

    text: str
    x: float
    y: float
    width: float
    height: float
    kind: Kind = Kind.OURS

    @property
    def area(self) -> Rectangle:
        """The area of the box."""
        return Rectangle(self.x, self.y, self.x + self.width, self.y + self.height)

    @property
    def label(self) -> Text:
        """The text of the box, at its position."""
        lower = RIM if self.kind is Kind.STORE else 0
        return Text(self.text.split("\n"), self.x + self.width / 2, self.y + self.height / 2 + lower)

    def left(self, part: float = 0.5) -> Point:
        """A point on the left edge; `part` is how far down it is, from 0 to 1."""
        return Point(self.x, self.y + self.height * part)

    def right(self, part: float = 0.5) -> Point:
        """A point on the right edge; `part` is how far down it is, from 0 to 1."""
        return Point(self.x + self.width, self.y + self.height * part)

    def top(self, part: float = 0.5) -> Point:
        """A point on the upper edge; `part` is how far to the right it is, from 0 to 1."""
        return Point(self.x + self.width * part, self.y)

    def bottom(self, part: float = 0.5) -> Point:
        """A point on the lower edge; `part` is how far to the right it is, from 0 to 1."""
        return Point(self.x + self.width * part, self.y + self.height)


@dataclass(frozen=True)
class Frame(Box):
    """A frame around a group of boxes, with its title in the upper left corner."""

    @property
    def label(self) -> Text:
        """The title of the frame, at its position."""
        return Text([self.text], self.x + 10, self.y + 6 + LINE / 2, Anchor.START, bold=True)


def dot(x: float, y: float, kind: Kind) -> Box:
    """The box for the begin or an end of a state diagram, around a point."""
    return Box("", x - 8, y - 8, 16, 16, kind)


@dataclass(frozen=True)
class Arrow:
    """An arrow along a path, whose stretches are horizontal or vertical.

    The label stands on a `side` of the stretch with the number `stretch`, or of the longest stretch. `part`, from
    0 to 1, says how far along the stretch the label stands.
    """

    path: Sequence[Point]
    text: str = ""
    side: Side = Side.ABOVE
    part: float = 0.5
    stretch: int | None = None
    both: bool = False  # whether the arrow has a head at both ends

    @property
    def label(self) -> Text | None:
        """The label of the arrow, at its position; None if the arrow has no label."""
        if not self.text:
            return None
        lines = self.text.split("\n")
        stretches = list(pairwise(self.path))
        longest = max(stretches, key=lambda ends: dist(*ends))
        begin, end = longest if self.stretch is None else stretches[self.stretch]
        x, y = (start + (stop - start) * self.part for start, stop in zip(begin, end, strict=True))
        away = _GAP + LINE * len(lines) / 2
        match self.side:
            case Side.ABOVE:
                return Text(lines, x, y - away)
            case Side.BELOW:
                return Text(lines, x, y + away)
            case Side.LEFT:
                return Text(lines, x - _GAP, y, Anchor.END)
            case Side.RIGHT:
                return Text(lines, x + _GAP, y, Anchor.START)


@dataclass(frozen=True)
class Diagram:
    """A diagram. `description` tells its content in words, for readers who cannot see it."""

    title: str
    description: str
    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    frames: Sequence[Frame] = ()
