"""The tables of two-way streams, from measurements to the docs, and the benchmark as it is run."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contest.contender import Contender, present
from benchmarks.contest.results import sweep_table, troubles
from benchmarks.contest.rounds import Measured, progress_bar
from benchmarks.inbound.contenders import FORMATS, contest
from benchmarks.inbound.results import in_short, picture, table, write_docs
from benchmarks.listeners.measure import Plan
from benchmarks.tables import Results, write_section
from benchmarks.yardsticks import golang
from tests.benchmarks.reports import measured_of, report_of
from tests.project import ROOT
from tests.timing import PATIENCE

CONTEST = contest("audiosocket")
# Microseconds a frame, by name, in each of two rounds.
COSTS = {
    "reader": (5.0, 7.0),
    "two-way": (12.0, 12.0),
    "Go, reads and drops": (8.0, 8.0),
    "Go, echo": (20.0, 20.0),
    "Go, TLS": (32.0, 32.0),
    "prompt": (4.0, 4.0),
    "prompt, TLS": (8.0, 8.0),
    "prompt, dialled by it": (5.0, 5.0),
    "prompt, dialled, TLS": (16.0, 16.0),
    "echo": (10.0, 10.0),
    "menu": (16.0, 16.0),
}
MEASURED = {each: COSTS[each.name] for each in CONTEST.all if each.name in COSTS}


def cells(found: Results, heading: str) -> dict[str, str]:
    """A column, by the first cell of each row."""
    column = found.headings.index(heading)
    return {row[0]: row[column] for row in found.rows}


def test_every_server_is_held_against_all_yardsticks() -> None:
    found = table(measured_of(MEASURED), CONTEST, 100, "two rounds")
    assert list(cells(found, "µs/frame")) == list(COSTS)
    assert cells(found, "µs/frame")["reader"] == "6.0"
    assert [cells(found, side)["reader"] for side in ("from", "to")] == ["5.0", "7.0"]
    assert cells(found, "x reader")["prompt"] == "0.67"
    assert cells(found, "x two-way")["prompt"] == "0.33"
    assert cells(found, "x prompt")["prompt, dialled by it"] == "1.25"
    assert (cells(found, "lateness p99")["prompt"], cells(found, "lateness p99")["reader"]) == ("1.00", "")


def test_echo_and_tls_are_held_against_go_that_does_so_and_the_others_against_go_that_drops() -> None:
    found = table(measured_of(MEASURED), CONTEST, 100, "two rounds")
    times = cells(found, "x Go")
    assert (times["echo"], times["Go, echo"]) == ("0.50", "1.00")
    assert (times["prompt"], times["menu"], times["Go, reads and drops"]) == ("0.50", "2.00", "1.00")
    assert (times["prompt, TLS"], times["prompt, dialled, TLS"], times["Go, TLS"]) == ("0.25", "0.50", "1.00")
    assert found.notes == [
        "x Go: TLS beside Go with TLS, echo beside Go's echo, all others beside Go that reads and drops."
    ]


def test_a_cost_is_told_only_of_a_server_that_kept_up() -> None:
    measured = measured_of(MEASURED)
    measured.reports[CONTEST.prompt, 100].append(report_of(said=5000, said_share=1.0, server_core=0.95))
    found = table(measured, CONTEST, 100, "two rounds")
    assert {cells(found, name)["prompt"] for name in ("µs/frame", "from", "to", "x reader", "x Go")} == {""}
    assert set(cells(found, "x prompt").values()) == {""}
    assert found.notes[0] == "prompt, 100 streams: the server did not take all that was said in time"
    assert {len(row) for row in found.rows} == {len(found.headings)}


def test_without_go_there_is_no_row_and_no_column_of_it() -> None:
    without = {each: costs for each, costs in MEASURED.items() if not each.name.startswith("Go")}
    assert present(list(MEASURED), "Go is missing") == list(without)
    measured = measured_of(without)
    assert "Go" not in table(measured, CONTEST, 100, "two rounds").as_markdown()
    swept = present(CONTEST.swept, "Go is missing")
    assert [each.name for each in swept] == ["prompt", "echo", "record", "menu", "analyse"]
    assert "Go" not in sweep_table(measured, swept, (100, 200), "two rounds").as_markdown()


@pytest.mark.parametrize("encapsulation", FORMATS)
def test_all_that_echo_or_talk_have_messages_of_one_size(encapsulation: str) -> None:
    sizes = {"audiosocket": 320, "rtp": 332}
    everybody = contest(encapsulation)
    assert {each.payload for each in everybody.swept} == {sizes[encapsulation]}
    assert all(each.says for each in everybody.all)


def test_the_docs_have_the_first_table_and_the_picture(tmp_path: Path) -> None:
    measured = measured_of(MEASURED)
    page, docs = tmp_path / "benchmarks/README.md", tmp_path / "docs/operators/performance.md"
    for file in (tmp_path / "README.md", page, docs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    for file in (page, docs):
        file.write_text("above\n<!-- inbound -->\n<!-- /inbound -->\n")
    results = [table(measured, CONTEST, streams, "two rounds").as_markdown() for streams in (100, 200)]
    shown = picture(page.parent, page)
    write_section(page, "inbound", "\n\n".join(["An abacus; 2026-01-31.", shown, *results]))
    write_docs(tmp_path)
    written = docs.read_text()
    assert shown.endswith("](inbound.svg)")
    assert "](../../benchmarks/inbound.svg)" in written
    assert "100 streams, two rounds; lateness in ms. An abacus; 2026-01-31." in written
    assert "200 streams" not in written
    short = in_short(table(measured, CONTEST, 100, "two rounds"))
    assert short.as_markdown() in written
    assert short.headings == ["", "µs a frame", "× reader", "× two-way", "× Go", "× prompt"]
    assert short.rows[-1] == ["`menu` (digits)", "16.0", "2.67", "1.33", "2.00", "4.00"]


def run(tmp_path: Path, *arguments: str) -> str:
    """What the benchmark prints on a machine without Go. It starts eight servers, each on the first core alone."""
    command = [sys.executable, "-m", "benchmarks.inbound", "--quick", "--streams=2", "--seconds=0.5", *arguments]
    environment = os.environ | {"PATH": str(tmp_path), "COLUMNS": "170"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(len(os.sched_getaffinity(0) & {0, 1}) < 2, reason="a benchmark needs two processors")
def test_the_benchmark_without_go_says_what_to_install_and_has_all_other_rows(tmp_path: Path) -> None:
    printed = run(tmp_path, "--only=prompt")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert f"{golang.missing(tmp_path)}" in lines
    # A note below the table also has a share, where the machine had no time for all frames.
    rows = [line for line in lines if "%" in line and " streams: " not in line]
    names = [row.rpartition("%")[0].rstrip("0123456789.% ") for row in rows]
    prompts = ["prompt", "prompt, TLS", "prompt, dialled by it", "prompt, dialled, TLS"]
    assert names == ["reader", "two-way", "bare loop", "naive aiohttp", *prompts]


def test_yardsticks_are_what_the_help_says() -> None:
    command = [sys.executable, "-m", "benchmarks.inbound", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    def is_told(contender: Contender) -> bool:
        return f"\n    {contender.name} " in told

    assert [each.name for each in CONTEST.all if not is_told(each)] == []


@pytest.mark.skipif(len(os.sched_getaffinity(0) & {0, 1}) < 2, reason="a benchmark needs two processors")
def test_a_contender_that_cannot_be_measured_is_named_and_the_others_are_measured() -> None:
    mute, reader = Contender("mute", "no_such_yardstick"), CONTEST.reader
    measured = Measured()
    measured.run([(mute, 2), (reader, 2)], 1, Plan(seconds=0.2, warm_up=0.1), progress_bar())
    (note,) = troubles(measured, [(mute, 2)])
    assert note.startswith("mute, 2 streams: nobody listens on port")
    assert not measured.healthy(mute, 2)
    (row,) = table(measured, replace(CONTEST, all=(mute, reader)), 2, "how").rows
    assert row[0] == "reader"
