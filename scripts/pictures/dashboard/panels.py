"""Reads the dashboard's file, and asks Prometheus for what its panels show, as Grafana would."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from scripts.pictures.dashboard.prometheus import SCRAPE, Prometheus, Series

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json"
STEP = 4 * SCRAPE  # seconds from one value in the picture to the next
RATE_INTERVAL = f"{max(STEP + SCRAPE, 4 * SCRAPE)}s"  # Grafana's $__rate_interval
_LABEL_VALUES = re.compile(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)")


class Place(NamedTuple):
    """The place of a panel, in units of Grafana's grid, which is 24 wide."""

    x: int
    y: int
    width: int
    height: int


class Line(NamedTuple):
    """What a panel shows: values by Unix time, and their name in the legend."""

    name: str
    values: dict[float, float]


@dataclass(frozen=True)
class Panel:
    """A panel of the dashboard with its data. `raw` is its part of the file."""

    raw: dict[str, Any]
    lines: list[Line]

    @property
    def title(self) -> str:
        """The title."""
        return str(self.raw["title"])

    @property
    def kind(self) -> str:
        """The type of the panel: row, stat or timeseries."""
        return str(self.raw["type"])

    @property
    def is_empty(self) -> bool:
        """Whether the panel has no value at all."""
        return not any(line.values for line in self.lines)

    @property
    def place(self) -> Place:
        """The place in the grid."""
        grid = self.raw["gridPos"]
        return Place(grid["x"], grid["y"], grid["w"], grid["h"])

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings of all fields: unit, thresholds and others."""
        found: dict[str, Any] = self.raw["fieldConfig"]["defaults"]
        return found

    @property
    def custom(self) -> dict[str, Any]:
        """The settings of how lines are drawn."""
        found: dict[str, Any] = self.defaults.get("custom", {})
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The options of the panel, such as those of its legend."""
        found: dict[str, Any] = self.raw["options"]
        return found


def read_dashboard() -> dict[str, Any]:
    """The dashboard's file."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def targets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All queries of all panels."""
    for panel in dashboard["panels"]:
        yield from panel.get("targets", ())


def legend(template: str, labels: dict[str, str]) -> str:
    """The name of a series: the template with the values of its labels."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template)


def substitute(expression: str, variables: dict[str, str]) -> str:
    """An expression with the values of the dashboard's variables in place of their names."""
    return re.sub(r"\$(\w+)", lambda match: variables[match[1]], expression)


async def ask_all(prometheus: Prometheus, start: float, end: float) -> dict[str, list[Series]]:
    """What Prometheus answers to each expression of the dashboard, by the expression as the file has it."""
    dashboard = read_dashboard()
    variables = {"__rate_interval": RATE_INTERVAL, **await _choose_all(prometheus, dashboard)}
    return {
        target["expr"]: await prometheus.range(substitute(target["expr"], variables), start, end, STEP)
        for target in targets(dashboard)
    }


async def _choose_all(prometheus: Prometheus, dashboard: dict[str, Any]) -> dict[str, str]:
    """The values of the dashboard's variables where "All" is chosen: a regular expression of all values."""
    chosen = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            match = _LABEL_VALUES.fullmatch(variable["definition"])
            if match is None:
                raise ValueError(f"not understood: {variable['definition']}")
            values = await prometheus.label_values(*match.groups())
            chosen[variable["name"]] = "|".join(re.escape(value).replace("\\", "\\\\") for value in values)
    return chosen


def fill(dashboard: dict[str, Any], answers: dict[str, list[Series]]) -> list[Panel]:
    """The panels of a dashboard, with what Prometheus answered."""
    return [
        Panel(
            raw,
            [
                Line(legend(target["legendFormat"], series.labels), series.values)
                for target in raw.get("targets", ())
                for series in answers[target["expr"]]
            ],
        )
        for raw in dashboard["panels"]
    ]
