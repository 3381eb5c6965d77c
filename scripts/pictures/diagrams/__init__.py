"""Diagrams of boxes and arrows, which are placed by hand and written as plain SVG, reproducible to the byte.

A diagram that is hard to read raises an error, such as a diagram with a text that is wider than its box, or with
an arrow through a box.
"""

from collections.abc import Callable

from scripts.pictures.diagrams.server import overview, parts
from scripts.pictures.diagrams.session import states
from scripts.pictures.diagrams.shapes import Diagram

DIAGRAMS: dict[str, Callable[[], Diagram]] = {"overview": overview, "parts": parts, "session-states": states}
