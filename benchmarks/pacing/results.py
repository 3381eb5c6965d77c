"""The measured figures of pacing as tables."""

from collections.abc import Sequence

from benchmarks.contest.contender import Contender
from benchmarks.contest.results import COST, LATENESS, ratio, troubles
from benchmarks.contest.rounds import Measured
from benchmarks.tables import Results

from .contenders import BARE, DIALLED, GO, GO_TLS, MEDIA, NAIVE

_FIGURES = {  # by heading of a column: the name of a figure in a `Report`, and its format
    COST: ("us_per_frame", "{:.2f}"),
    "core": ("server_core", "{:.0%}"),
    "deviation p50": ("deviation_p50", "{:.2f}"),
    "p99": ("deviation_p99", "{:.2f}"),
    "p99.9": ("deviation_p999", "{:.2f}"),
    LATENESS: ("lateness_p99", "{:.2f}"),
    "first frame p99": ("first_frame_p99", "{:.1f}"),
    "KiB a stream": ("kib_per_stream", "{:.1f}"),
}
_COMPARED = {BARE: "× bare", NAIVE: "× naive", GO: "× Go"}  # what the columns of ratios are called
_TLS = "TLS: × bare and × naive compare it with a bare loop and a naive server that speak without"
_TLS_OF_GO = f"{_TLS}, × Go with Go that speaks TLS"


def cost_table(measured: Measured, contenders: Sequence[Contender], streams: int, how: str) -> Results:
    """The table of all servers with this number of streams. `how` says how they were measured, for the title."""
    yardsticks = _yardsticks(measured, [streams])
    headings = ["", *(_COMPARED[each] for each in yardsticks), *_FIGURES]
    rows = []
    for contender in contenders:
        figures = measured.medians(contender, streams)
        if not figures:
            continue
        ratios = [_ratio(measured, contender, yardstick, streams) for yardstick in yardsticks]
        rows.append([contender.name, *ratios, *(text.format(figures[key]) for key, text in _FIGURES.values())])
    title = f"{streams} streams, {how}; times in ms"
    return Results(title, headings, rows, _notes(measured, contenders, [streams]))


def in_short(measured: Measured, contenders: Sequence[Contender], sizes: Sequence[int]) -> Results:
    """The short table for the docs: ratios of the cost per frame."""
    pairs = [(streams, yardstick) for streams in sizes for yardstick in _yardsticks(measured, sizes)]
    headings = ["CPU time per frame", *(f"{streams} streams, × {yardstick.name}" for streams, yardstick in pairs)]
    rows = [
        [each.name, *(_ratio(measured, each, yardstick, streams) for streams, yardstick in pairs)]
        for each in contenders
        if each is not BARE and any((each, streams) in measured.reports for streams in sizes)
    ]
    return Results("What a stream costs", headings, rows, _notes(measured, contenders, sizes))


def _yardsticks(measured: Measured, sizes: Sequence[int]) -> list[Contender]:
    """The yardsticks that were measured, for columns of ratios; Go is not on every machine."""
    return [each for each in _COMPARED if any((each, streams) in measured.reports for streams in sizes)]


def _ratio(measured: Measured, contender: Contender, yardstick: Contender, streams: int) -> str:
    """A ratio as the tables have it: who speaks TLS is held against Go that does, too."""
    return ratio(measured, contender, GO_TLS if yardstick is GO and contender.tls else yardstick, streams)


def _notes(measured: Measured, contenders: Sequence[Contender], sizes: Sequence[int]) -> list[str]:
    """Notes below a table: troubles of runs, how to read the figures of TLS, what dialled streams cost more."""
    jobs = [(contender, streams) for streams in sizes for contender in contenders]
    notes = troubles(measured, jobs)
    if any(job in measured.reports and job[0].tls for job in jobs):
        notes.append(f"{_TLS_OF_GO if GO in _yardsticks(measured, sizes) else _TLS}.")
    for streams in sizes:
        if times := ratio(measured, DIALLED, MEDIA, streams):
            notes.append(f"{DIALLED.name}, {streams} streams: {times} × {MEDIA.name}, which peers dial.")
    return notes
