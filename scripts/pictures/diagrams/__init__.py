"""Diagrams of boxes and arrows, placed by hand and written as plain SVG: the same diagram gives the same file.

A diagram that does not read well is refused, such as one with a text that is wider than its box, or an arrow
through a box.
"""

from collections.abc import Callable

from scripts.pictures.diagrams.server import overview, parts
from scripts.pictures.diagrams.session import states
from scripts.pictures.diagrams.shapes import Diagram

DIAGRAMS: dict[str, Callable[[], Diagram]] = {"overview": overview, "parts": parts, "session-states": states}
