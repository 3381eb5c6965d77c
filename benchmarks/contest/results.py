"""What is told of contenders: ratios of their costs, their troubles, and cost and lateness against streams."""

from collections.abc import Iterable, Sequence

from benchmarks.tables import Results

from .contender import Contender
from .rounds import Job, Measured

COST, LATENESS = "µs a frame", "lateness p99"
SWEEP_TITLE = "Cost and lateness against streams"


def ratio(measured: Measured, contender: Contender, yardstick: Contender, streams: int) -> str:
    """The ratio of two servers' costs per frame; "" if a server was not measured, or did not do its work."""
    one, other = measured.healthy(contender, streams), measured.healthy(yardstick, streams)
    return f"{one['us_per_frame'] / other['us_per_frame']:.2f}" if one and other else ""


def troubles(measured: Measured, jobs: Iterable[Job]) -> list[str]:
    """Notes below a table: what went wrong in runs."""
    found = [(contender, streams, measured.trouble(contender, streams)) for contender, streams in jobs]
    return [f"{contender.name}, {streams} streams: {trouble}" for contender, streams, trouble in found if trouble]


def sweep_table(measured: Measured, contenders: Sequence[Contender], sweep: Sequence[int], how: str) -> Results:
    """The table that a plot shows: cost and lateness by number of streams. Cells of failed runs are empty."""
    headings = ["streams", *(f"{each.name}, {what}" for each in contenders for what in (COST, LATENESS))]
    rows = []
    for streams in sweep:
        cells = [str(streams)]
        for contender in contenders:
            figures = measured.healthy(contender, streams)
            cells += [f"{figures[key]:.2f}" if figures else "" for key in ("us_per_frame", "lateness_p99")]
        rows.append(cells)
    notes = troubles(measured, ((contender, streams) for streams in sweep for contender in contenders))
    return Results(f"{SWEEP_TITLE}, {how}; lateness in ms", headings, rows, notes)
