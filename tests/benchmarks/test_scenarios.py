"""The table of scenarios."""

from pathlib import Path

from rich.console import Console

from benchmarks.scenarios.__main__ import go_through, table
from benchmarks.scenarios.outcome import Outcome


def lost(folder: Path) -> Outcome:
    raise SystemExit("the listeners ended before they told")


def quiet(folder: Path) -> Outcome:
    assert not list(folder.iterdir())
    return Outcome("nothing", "p99 0.10 ms", "p99 under 1 ms", holds=True, notes=("quiet, a note",))


def test_a_scenario_that_cannot_be_measured_is_a_row_that_does_not_hold_and_ends_no_other() -> None:
    outcomes = go_through({"lost": lost, "quiet": quiet}, ["lost", "quiet"], Console(quiet=True))
    assert [outcome.holds for outcome in outcomes.values()] == [False, True]
    written = table(outcomes).as_markdown()
    assert "| lost |  | not measured: the listeners ended before they told |  | no |" in written
    assert "| quiet | nothing | p99 0.10 ms | p99 under 1 ms | yes |" in written
    assert "quiet, a note" in written
