"""The geometry of a chart: where times and values are, and the paths of lines, areas and bars."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from scripts.pictures.dashboard.panels import STEP
from scripts.pictures.diagrams.shapes import Rectangle

FINE = 10  # units of a path in a pixel: paths have whole numbers, which are short
_DASH = 2 * FINE  # half the length of the dash that stands for a value alone
_BESIDE = 2 * FINE  # how far beyond the chart's edges the sides of an area are

Values = dict[float, float]  # by Unix time
_Path = Sequence[tuple[int, int]]


class Chart:
    """A chart in an area of the page.

    `span` is the begin and the end of its time axis, in Unix time. `top` is the value at its upper edge; 0 is at
    the lower edge.
    """

    def __init__(self, area: Rectangle, span: tuple[float, float], top: float) -> None:
        self.area, self._span, self._top = area, span, top

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in units of paths."""
        left, top, right, bottom = self.area
        return round((right - left) * FINE), round((bottom - top) * FINE)

    def x(self, at: float) -> float:
        """Where a time is on the page."""
        begin, end = self._span
        return self.area.left + (at - begin) / (end - begin) * (self.area.right - self.area.left)

    def y(self, value: float) -> float:
        """Where a value is on the page."""
        return self.area.bottom - value / self._top * (self.area.bottom - self.area.top)

    def full_minutes(self) -> list[float]:
        """The full minutes that the time axis names, at most five."""
        begin, end = self._span
        every = next(60 * n for n in (1, 2, 5, 10, 30) if (end - begin) / (60 * n) <= 5)
        minutes = range(int(begin // every + 1) * every, int(end) + 1, every)
        return [float(at) for at in minutes if self.area.left + 12 < self.x(at) < self.area.right - 12]

    def line(self, values: Values) -> str:
        """The path of a line, which is interrupted where values are missing. A value alone is a dash."""
        text = ""
        for run in _runs(values):
            points = self._points(run)
            if len(points) == 1:
                x, y = points[0]
                points = [(x - _DASH, y), (x + _DASH, y)]
            text += _path(points)
        return text

    def filled(self, values: Values) -> str:
        """The path of a line and of what is below it. Its sides and its lower edge are outside of the chart."""
        points, below = self._points(sorted(values.items())), self.size[1] + _BESIDE
        (left, first), (right, last) = points[0], points[-1]
        left, right = left - _BESIDE, right + _BESIDE
        return _path([(left, below), (left, first), *points, (right, last), (right, below)]) + "z"

    def bars(self, values: Values, tops: Values) -> str:
        """The path of bars, one for each value. `tops` are the values at their upper ends."""
        width = max(FINE, round(self._step * 0.8))
        text = ""
        for at, value in sorted(values.items()):
            (x, upper), (_, lower) = self._points([(at, tops[at]), (at, tops[at] - value)])
            if lower > upper:
                text += f"M{x - width // 2} {upper}h{width}v{lower - upper}h-{width}z"
        return text

    def bands(self, times: Iterable[float], low: float, high: float) -> str:
        """The path of bands from the value `low` to the value `high`, one for each run of times."""
        text, half = "", round(self._step / 2)
        for run in _runs(dict.fromkeys(times, high)):
            (begin, upper), (end, lower) = self._points([(run[0][0], high), (run[-1][0], low)])
            width = end - begin + 2 * half
            text += f"M{begin - half} {upper}h{width}v{lower - upper}h-{width}z"
        return text

    @property
    def _step(self) -> float:
        """The width of a step from one value to the next, in units of paths."""
        return (self.x(STEP) - self.x(0)) * FINE

    def _points(self, values: Iterable[tuple[float, float]]) -> _Path:
        left, top, *_ = self.area
        return [(round((self.x(at) - left) * FINE), round((self.y(value) - top) * FINE)) for at, value in values]


def stack(lines: Sequence[Values]) -> list[Values]:
    """The values of lines, each on top of the lines before it. A value that is missing counts as 0."""
    heights, found = dict.fromkeys(sorted({at for line in lines for at in line}), 0.0), []
    for line in lines:
        heights = {at: height + line.get(at, 0.0) for at, height in heights.items()}
        found.append(heights)
    return found


def _runs(values: Values) -> list[list[tuple[float, float]]]:
    """The values in their order, in runs between which values are missing."""
    runs: list[list[tuple[float, float]]] = []
    for at, value in sorted(values.items()):
        if not runs or at - runs[-1][-1][0] > 1.5 * STEP:
            runs.append([])
        runs[-1].append((at, value))
    return runs


def _path(points: _Path) -> str:
    """The path along points, in relative steps. Points that a straight line goes through are left out."""
    kept = [point for number, point in enumerate(points) if not _is_between(points, number)]
    text = f"M{kept[0][0]} {kept[0][1]}"
    for (x, y), (to, down) in pairwise(kept):
        right, below = to - x, down - y
        if right and below:
            text += f"l{right}{below}" if below < 0 else f"l{right} {below}"
        else:
            text += f"h{right}" if right else f"v{below}"
    return text


def _is_between(points: _Path, number: int) -> bool:
    """Whether a point is on the straight line from the point before it to the point after it."""
    if not 0 < number < len(points) - 1:
        return False
    (x, y), (at, here), (to, down) = points[number - 1 : number + 2]
    return (at - x) * (down - y) == (to - x) * (here - y)
