"""The measured figures as tables."""

from collections.abc import Sequence

from benchmarks.tables import Results

from .contenders import BARE, NAIVE, Contender
from .rounds import Measured

COST, LATENESS = "µs a frame", "lateness p99"
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
SWEEP_TITLE = "Cost and lateness against streams"
_TLS = "TLS: × bare and × naive compare it with a bare loop and a naive server that speak without."


def ratio(measured: Measured, contender: Contender, yardstick: Contender, streams: int) -> str:
    """The ratio of two servers' costs per frame; "" if a server was not measured, or did not do its work."""
    one, other = measured.healthy(contender, streams), measured.healthy(yardstick, streams)
    return f"{one['us_per_frame'] / other['us_per_frame']:.2f}" if one and other else ""


def cost_table(measured: Measured, contenders: Sequence[Contender], streams: int, how: str) -> Results:
    """The table of all servers with this number of streams. `how` says how they were measured, for the title."""
    headings = ["", "× bare", "× naive", *_FIGURES]
    rows = []
    for contender in contenders:
        figures = measured.medians(contender, streams)
        if not figures:
            continue
        ratios = [ratio(measured, contender, yardstick, streams) for yardstick in (BARE, NAIVE)]
        rows.append([contender.name, *ratios, *(text.format(figures[key]) for key, text in _FIGURES.values())])
    return Results(
        f"{streams} streams, {how}; times in ms", headings, rows, _notes(measured, contenders, [streams])
    )


def _notes(measured: Measured, contenders: Sequence[Contender], sizes: Sequence[int]) -> list[str]:
    """Notes below a table: troubles of runs, and how to read the figures of TLS."""
    pairs = [(contender, streams) for streams in sizes for contender in contenders]
    troubles = [(*pair, measured.trouble(*pair)) for pair in pairs]
    notes = [
        f"{contender.name}, {streams} streams: {trouble}" for contender, streams, trouble in troubles if trouble
    ]
    return [*notes, _TLS] if any(pair in measured.reports and pair[0].tls for pair in pairs) else notes


def sweep_table(measured: Measured, contenders: Sequence[Contender], sweep: Sequence[int], how: str) -> Results:
    """The table that the plot shows: cost and lateness by number of streams. Cells of failed runs are empty."""
    headings = ["streams", *(f"{each.name}, {what}" for each in contenders for what in (COST, LATENESS))]
    rows = []
    for streams in sweep:
        cells = [str(streams)]
        for contender in contenders:
            figures = measured.healthy(contender, streams)
            cells += [f"{figures[key]:.2f}" if figures else "" for key in ("us_per_frame", "lateness_p99")]
        rows.append(cells)
    title = f"{SWEEP_TITLE}, {how}; lateness in ms"
    return Results(title, headings, rows, _notes(measured, contenders, sweep))


def in_short(measured: Measured, contenders: Sequence[Contender], sizes: Sequence[int]) -> Results:
    """The short table for the docs: ratios of the cost per frame."""
    pairs = [(streams, yardstick) for streams in sizes for yardstick in (BARE, NAIVE)]
    headings = ["CPU time per frame", *(f"{streams} streams, × {yardstick.name}" for streams, yardstick in pairs)]
    rows = [
        [each.name, *(ratio(measured, each, yardstick, streams) for streams, yardstick in pairs)]
        for each in contenders
        if each is not BARE
    ]
    return Results("What a stream costs", headings, rows, _notes(measured, contenders, sizes))
