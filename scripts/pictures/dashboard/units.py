"""Writes values in Grafana's units, as Grafana does: 0.0123 in the unit `s` is 12.3 ms."""

from collections.abc import Callable
from itertools import pairwise
from math import floor, isfinite, log10
from typing import NamedTuple


class Scale(NamedTuple):
    """A power of a unit: values in it are divided by `factor`, and written with `suffix`."""

    factor: float
    suffix: str


_TIME = (
    Scale(1e-6, " µs"),
    Scale(1e-3, " ms"),
    Scale(1, " s"),
    Scale(60, " mins"),
    Scale(3600, " hours"),
    Scale(86_400, " days"),
    Scale(604_800, " weeks"),
)
_BYTES = (Scale(1, " B"), Scale(1e3, " kB"), Scale(1e6, " MB"), Scale(1e9, " GB"))
_SHORT = (Scale(1, ""), Scale(1e3, " K"), Scale(1e6, " Mil"))


def _with_suffix(suffix: str) -> tuple[Scale, ...]:
    return (Scale(1, suffix), Scale(1e3, f"K{suffix}"))


_UNITS: dict[str, tuple[Scale, ...]] = {
    "none": (Scale(1, ""),),
    "short": _SHORT,
    "cps": _with_suffix(" c/s"),
    "ops": _with_suffix(" ops/s"),
    "reqps": _with_suffix(" req/s"),
    "s": _TIME,
    "decbytes": _BYTES,
    "percentunit": (Scale(0.01, "%"),),
}


def formatter(unit: str, largest: float) -> Callable[[float], str]:
    """A function that writes values of a unit, all in the power that suits the largest of them.

    Raises KeyError for a unit that no panel has had so far.
    """
    scales = _UNITS[unit]
    scale, whole = _suitable(scales, largest), next((each for each in scales if each.factor == 1), scales[0])

    def write(value: float) -> str:
        return f"{_round(value / scale.factor)}{scale.suffix}" if value else f"0{whole.suffix}"

    return write


def ticks(unit: str, largest: float, count: int = 3) -> list[float]:
    """Round values from 0 up to at least `largest`, about `count` steps apart, for the axis of a unit."""
    if not largest > 0 or not isfinite(largest):
        return [0.0, 1.0]
    scale = _suitable(_UNITS[unit], largest)
    rough = largest / scale.factor / count
    power = 10.0 ** floor(log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * 0.999)
    steps = next(n for n in range(1, 12) if n * step >= largest / scale.factor * 0.999)
    return [n * step * scale.factor for n in range(steps + 1)]


def _suitable(scales: tuple[Scale, ...], largest: float) -> Scale:
    """The greatest power in which `largest` is at least 1; the smallest if there is none."""
    found = scales[0]
    for _, scale in pairwise(scales):
        if abs(largest) >= scale.factor * 0.999:
            found = scale
    return found


def _round(value: float) -> str:
    """A value with at most three significant digits, and no zeros at the end."""
    digits = max(0, 2 - floor(log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
