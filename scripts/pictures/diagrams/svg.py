"""Writes a diagram as SVG on white, because pages may be light or dark."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from scripts.pictures.diagrams.faults import faults
from scripts.pictures.diagrams.shapes import FONT, LINE, RIM, Arrow, Box, Diagram, Frame, Kind, Text

_INK, _GREY = "#222222", "#666666"
FONTS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"  # texts are measured in DejaVu Sans, the widest
_COLOURS = {  # fill and edge of boxes, in hues of Okabe and Ito, which colour-blind readers can tell apart
    Kind.OURS: ("#e3f0f8", "#0072B2"),
    Kind.STORE: ("#e3f0f8", "#0072B2"),
    Kind.STATE: ("#e3f0f8", "#0072B2"),
    Kind.OTHERS: ("#fbeadd", "#D55E00"),
}
_BASELINE = 0.35  # how far the baseline is under the middle of a line, as a share of the font's size


def write(diagram: Diagram, file: Path) -> None:
    """Write a diagram into a file. ValueError lists the faults of a diagram that is hard to read."""
    if wrong := faults(diagram):
        raise ValueError(f"{diagram.title}: {'; '.join(wrong)}")
    size = {"width": f"{diagram.width}", "height": f"{diagram.height}"}
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {diagram.width} {diagram.height}")
    root.attrib |= {**size, "role": "img", "font-family": FONTS, "font-size": f"{FONT}"}
    SubElement(root, "title").text = diagram.title
    SubElement(root, "desc").text = diagram.description
    _define_head(SubElement(root, "defs"))
    SubElement(root, "rect", {**size, "fill": "#ffffff"})
    for frame in diagram.frames:
        _frame(root, frame)
    for arrow in diagram.arrows:
        _arrow(root, arrow)
    for box in diagram.boxes:
        _box(root, box)
    ElementTree.indent(root)
    file.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _define_head(defs: Element) -> None:
    """Define the head of arrows, which is turned round at an arrow's begin."""
    place = {"refX": "9", "refY": "5", "markerWidth": "8", "markerHeight": "8", "orient": "auto-start-reverse"}
    head = SubElement(defs, "marker", {"id": "head", "viewBox": "0 0 10 10", **place})
    SubElement(head, "path", d="M 0 1 L 10 5 L 0 9 z", fill=_GREY)


def _frame(root: Element, frame: Frame) -> None:
    look = {"rx": "8", "fill": "#f6f6f6", "fill-opacity": "0.8", "stroke": "#aaaaaa", "stroke-dasharray": "5 3"}
    SubElement(root, "rect", {**_place(frame), **look})
    _text(root, frame.label, _GREY)


def _arrow(root: Element, arrow: Arrow) -> None:
    path = "M " + " L ".join(f"{point.x:g} {point.y:g}" for point in arrow.path)
    heads = {"marker-end": "url(#head)"} | ({"marker-start": "url(#head)"} if arrow.both else {})
    look = {"fill": "none", "stroke": _GREY, "stroke-width": "1.3", "stroke-linejoin": "round"}
    SubElement(root, "path", {"d": path, **look, **heads})
    if arrow.label is not None:
        _text(root, arrow.label)


def _box(root: Element, box: Box) -> None:
    middle = {"cx": f"{box.x + box.width / 2:g}", "cy": f"{box.y + box.height / 2:g}"}
    if box.kind is Kind.BEGIN:
        SubElement(root, "circle", {**middle, "r": f"{box.width / 2:g}", "fill": _INK})
        return
    if box.kind is Kind.END:
        SubElement(root, "circle", {**middle, "r": f"{box.width / 2 - 1:g}", "fill": "none", "stroke": _INK})
        SubElement(root, "circle", {**middle, "r": f"{box.width / 2 - 4:g}", "fill": _INK})
        return
    fill, edge = _COLOURS[box.kind]
    look = {"fill": fill, "stroke": edge, "stroke-width": "1.3"}
    if box.kind is Kind.STORE:
        _cylinder(root, box, look)
    else:
        radius = box.height / 2 if box.kind is Kind.STATE else 5
        SubElement(root, "rect", {**_place(box), "rx": f"{radius:g}", **look})
    _text(root, box.label)


def _cylinder(root: Element, box: Box, look: dict[str, str]) -> None:
    left, top, right, bottom = box.area
    radii = f"{box.width / 2:g} {RIM}"
    upper, lower = top + RIM, bottom - RIM
    side = f"M {left:g} {upper:g} V {lower:g} A {radii} 0 0 0 {right:g} {lower:g} V {upper:g}"
    rim = f"A {radii} 0 0 0 {left:g} {upper:g} A {radii} 0 0 0 {right:g} {upper:g}"
    SubElement(root, "path", {"d": f"{side} {rim}", **look})


def _text(root: Element, text: Text, colour: str = _INK) -> None:
    """Add a text to the SVG, each line as an element of its own."""
    first = text.y - LINE * (len(text.lines) - 1) / 2 + FONT * _BASELINE
    for number, line in enumerate(text.lines):
        look = {"fill": colour, "text-anchor": text.anchor} | ({"font-weight": "bold"} if text.bold else {})
        SubElement(root, "text", {"x": f"{text.x:g}", "y": f"{first + LINE * number:.2f}", **look}).text = line


def _place(box: Box) -> dict[str, str]:
    return {"x": f"{box.x:g}", "y": f"{box.y:g}", "width": f"{box.width:g}", "height": f"{box.height:g}"}
