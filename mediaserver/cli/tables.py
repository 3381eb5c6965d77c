"""The tables that commands print for people to read."""

import json
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from mediaserver.cli.findings import Findings
from mediaserver.client.measure import MIN_DRIFT_FRAMES, Report, Spread
from mediaserver.errors import escape_unprintable, escape_unprintable_lines
from mediaserver.handlers.menu.transitions import Transition
from mediaserver.routing.access import describe_open_paths


def show_findings(findings: Findings, out: Console, err: Console) -> None:
    """Print what `check` has found: URL paths, menus and prompts as tables on `out`, and mistakes on `err`."""
    menus = [_menus(path, transitions) for path, transitions in findings.menus.items()]
    for table in (_paths(findings), *menus, _prompts(findings), _sound(findings)):
        if table.row_count:
            out.print(table, markup=False)
    for path in filter(lambda path: path["flow"], findings.paths):
        line = f"{path['path']} is for flows whose fetch names {path['flow']}"
        out.print(escape_unprintable(line), markup=False, highlight=False, soft_wrap=True)
    for file in findings.ignored:
        out.print(
            f"ignored, not a sound file by its name: {escape_unprintable(file)}",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
    _show_lines("stops serve", findings.problems, err)
    _show_lines("left out by serve, which goes on without", findings.left_out, err)
    _show_lines("cannot be written by serve, which goes on without", findings.unwritable, err)
    for note in findings.notes:
        err.print(escape_unprintable(note), style="yellow", markup=False, soft_wrap=True)
    for warning in findings.warnings:
        text = f"left out until its prompts are there: {escape_unprintable(warning)}"
        err.print(text, style="yellow", markup=False, soft_wrap=True)
    if findings.all_is_well and not (findings.warnings or findings.notes):
        out.print("everything is in order", style="green")
    if findings.paths:
        out.print(
            escape_unprintable(describe_open_paths(findings.open_paths, len(findings.paths))),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _table(title: str, *headings: str) -> Table:
    """An empty table whose cells are wrapped, never cut, on a narrow terminal."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _add_row(table: Table, *cells: str) -> None:
    """Add a row to a table. Control characters in its cells are escaped, since cells may be names of files."""
    table.add_row(*map(escape_unprintable_lines, cells))


def _paths(findings: Findings) -> Table:
    with_ports = any(path["audiosocket"] for path in findings.paths)
    ports_too = ("AudioSocket ports",) if with_ports else ()
    table = _table("Paths", "path", "handler", "encapsulation", *ports_too, "access", "settings")
    for path in findings.paths:
        plain = {key: value for key, value in path["settings"].items() if key != "menus"}
        settings = "\n".join(f"{key} = {json.dumps(value, default=str)}" for key, value in plain.items())
        ports = (_ports(path),) if with_ports else ()
        _add_row(table, path["path"], path["handler"], path["encapsulation"], *ports, path["access"], settings)
    return table


def _ports(path: dict[str, Any]) -> str:
    """A URL path's AudioSocket ports, as text, each with its URL if that is more than the URL path."""
    ports = path["audiosocket"].items()
    return ", ".join(port if url == path["path"] else f"{port} ({url})" for port, url in ports)


def _menus(path: str, transitions: list[Transition]) -> Table:
    """The table of one URL path's menus: each menu, and where its keys lead."""
    table = _table(f"Menus of {escape_unprintable(path)}", "menu", "plays", "key", "leads to")
    for _, own in groupby(transitions, key=lambda transition: transition.menu):
        for n, transition in enumerate(own):
            _add_row(
                table,
                *((transition.menu, transition.plays) if n == 0 else ("", "")),
                transition.key,
                transition.leads_to,
            )
        table.add_section()
    return table


def _prompts(findings: Findings) -> Table:
    table = _table("Prompts", "prompt", "duration", "source format", "peak", "loudness")
    for column in (1, 3, 4):
        table.columns[column].justify = "right"
    for prompt in findings.prompts:
        _add_row(
            table,
            prompt["name"],
            f"{prompt['duration_s']:.2f} s",
            prompt["source"],
            f"{prompt['peak_dbfs']:.1f} dBFS",
            f"{prompt['loudness_lufs']:.1f} LUFS",
        )
    return table


def _sound(findings: Findings) -> Table:
    """The table of prompts' measurements. Its column "silence" has the seconds before and after the sound."""
    headings = ("level\ndBov", "DC\n%", "clipped\npeaks", "silence\ns", "out of\nband %", "loop\nstep %")
    table = _table("Sound of the prompts", "prompt", *headings)
    for column in table.columns[1:]:
        column.justify = "right"
    keys = ("level_dbov", "dc_percent", "clipped_runs", "silence", "out_of_band_percent", "loop_step_percent")
    for prompt in findings.prompts:
        if prompt["gain_db"] is not None:  # `gain_db` is None if the prompt could not be measured
            silence = f"{prompt['silence_before_s']:.2f}, {prompt['silence_after_s']:.2f}"
            cells = prompt | {"silence": silence}
            _add_row(table, prompt["name"], *("–" if cells[key] is None else str(cells[key]) for key in keys))
    return table


def _show_lines(title: str, lines: list[str], err: Console) -> None:
    if lines:
        err.print(f"{title}:", style="red", highlight=False)
    for line in lines:
        err.print(f"  {escape_unprintable(line)}", markup=False, highlight=False, soft_wrap=True)


def show_report(report: Report, out: Console) -> None:
    """Print the report of a call as a table."""
    table = Table("", "", show_header=False, title="Call", title_justify="left")
    table.add_row("frames", f"{report.frames} of 20 ms in {report.duration_s:.2f} s")
    table.add_row("first frame", _ms(report.first_frame_ms))
    table.add_row("between frames", _spread(report.interarrival_ms))
    table.add_row("lateness", _spread(report.lateness_ms))
    long_enough = report.drift_ppm is not None and report.frames >= MIN_DRIFT_FRAMES
    table.add_row("drift", f"{report.drift_ppm:.0f} ppm" if long_enough else "– (too short a call to tell)")
    table.add_row("bad frames", str(report.bad_frames))
    table.add_row("heard as", f"{report.encapsulation or '–'} ({report.framing or '–'})")
    table.add_row("closed with", str(report.close_code))
    out.print(table)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ms"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    return f"p50 {_ms(spread.p50)}, p99 {_ms(spread.p99)}, max {_ms(spread.max)}"
