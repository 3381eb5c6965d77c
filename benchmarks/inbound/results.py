"""The measured figures of two-way streams as tables."""

import os
from pathlib import Path

from benchmarks.contest.contender import Contender
from benchmarks.contest.results import LATENESS, ratio, troubles
from benchmarks.contest.rounds import Measured
from benchmarks.tables import Results, pages_with, read_section, read_table, write_section

from .contenders import Contest

COST = "µs/frame"
PICTURE = "inbound.svg"
_PICTURE_SHOWS = (
    "CPU time per frame and lateness against the number of two-way streams, of the media server and Go"
)
_RATIOS = ("x reader", "x two-way", "x Go", "x prompt")
_GO_NOTE = "x Go: TLS beside Go with TLS, echo beside Go's echo, all others beside Go that reads and drops."
_IN_DOCS = {  # what the docs call the servers, where it is not the name in the table
    "reader": "bare reader",
    "two-way": "bare, two-way",
    "prompt": "a prompt (no handler listens)",
    "prompt, TLS": "a prompt, TLS",
    "prompt, dialled by it": "a prompt, the server dials",
    "prompt, dialled, TLS": "a prompt, the server dials by TLS",
    "silence": "`silence` (no handler listens)",
    "echo": "`echo`",
    "record": "`record`",
    "menu": "`menu` (digits)",
    "analyse": "`analyse` (digits, speech, levels)",
}


def table(measured: Measured, contest: Contest, streams: int, how: str) -> Results:
    """All servers with this number of streams: medians of all rounds, and ratios. `how` is for the title."""
    yardsticks = {each: _yardsticks(contest, each) for each in contest.all}
    compared = [name for name in _RATIOS if name != "x Go" or (contest.go, streams) in measured.reports]
    headings = ["server", "core", "said", "sent", COST, "from", "to", LATENESS, "KiB a stream", *compared]
    rows = []
    for contender in contest.all:
        figures = measured.medians(contender, streams)
        if not figures:
            continue
        cells = [f"{figures['server_core']:.0%}", f"{figures['said_share']:.1%}", f"{figures['share']:.1%}"]
        costs = [report.us_per_frame for report in measured.reports[contender, streams]]
        told = (figures["us_per_frame"], min(costs), max(costs)) if measured.healthy(contender, streams) else ()
        cells += [f"{cost:.1f}" for cost in told] or [""] * 3
        cells += [
            f"{figures['lateness_p99']:.2f}" if contender.payload else "",
            f"{figures['kib_per_stream']:.1f}",
        ]
        cells += [ratio(measured, contender, yardsticks[contender][name], streams) for name in compared]
        rows.append([contender.name, *cells])
    notes = troubles(measured, ((contender, streams) for contender in contest.all))
    notes += [_GO_NOTE] * ("x Go" in compared)
    return Results(f"{streams} streams, {how}; lateness in ms", headings, rows, notes)


def _yardsticks(contest: Contest, contender: Contender) -> dict[str, Contender]:
    """What a contender is held against, by the names of the ratios."""
    others = (contest.reader, contest.two_way, contest.go_beside(contender), contest.prompt)
    return dict(zip(_RATIOS, others, strict=True))


def in_short(found: Results) -> Results:
    """The short table for the docs: what a frame costs with each server, and the ratios."""
    names = [name for name in (COST, *_RATIOS) if name in found.headings]
    columns = [found.headings.index(name) for name in names]
    rows = [[_IN_DOCS.get(cells[0], cells[0]), *(cells[column] for column in columns)] for cells in found.rows]
    headings = ["", "µs a frame", *(name.replace("x ", "× ") for name in names[1:])]
    return Results("What a received frame costs", headings, rows)


def picture(folder: Path, page: Path) -> str:
    """The plot in Markdown, for a page. `folder` is that of the benchmarks."""
    return f"![{_PICTURE_SHOWS}]({os.path.relpath(folder / PICTURE, page.parent)})"


def write_docs(root: Path) -> None:
    """Write the short table, and the plot where there is one, into the docs: from benchmarks/README.md."""
    folder = root / "benchmarks"
    section = read_section(folder / "README.md", "inbound")
    where, found = section.partition("\n")[0], read_table(section, "")
    for page in pages_with("inbound", root):
        parts = [in_short(found).as_markdown(), f"{found.title}. {where}"]
        if PICTURE in section:
            parts.append(picture(folder, page))
        write_section(page, "inbound", "\n\n".join(parts))
