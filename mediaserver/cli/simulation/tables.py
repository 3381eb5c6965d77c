"""The table of a call's executed actions."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from mediaserver.client.flows.engine import ExecutedAction
from mediaserver.client.flows.report import FlowReport, shown_option
from mediaserver.errors import escape_unprintable


def show_flow_report(report: FlowReport, out: Console) -> None:
    """Print what was executed, and how the call ended."""
    table = Table(title="Executed actions", title_justify="left")
    for heading in ("at", "for", "action", "options", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("at", "for") else "left")
    for entry in report.log:
        lasted = "–" if entry.ended is None else f"{entry.ended - entry.at:.2f} s"
        cells = (f"{entry.at:.2f} s", lasted, entry.action.type, _options(entry), entry.note)
        table.add_row(*map(escape_unprintable, cells), style="yellow" if entry.is_problem else None)
    out.print(table, markup=False)
    frames = sum(each.report.frames for each in report.media if each.report is not None)
    out.print(
        f"over after {report.duration:.2f} s: {escape_unprintable(report.ended)};"
        f" {frames} frames of 20 ms came by {len(report.media)} external media",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def describe_action(entry: ExecutedAction) -> str:
    """An action in one line: its type, its options, and the note on it."""
    note = f"({entry.note})" if entry.note else ""
    return " ".join(filter(None, (entry.action.type, _options(entry), note)))


def _options(entry: ExecutedAction) -> str:
    return " ".join(f"{key}={_brief(value)}" for key, value in shown_option(entry.action.option).items())


def _brief(value: Any) -> str:
    return (
        value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)
    )
