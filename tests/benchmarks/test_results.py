"""From measurements to tables, README sections and the search for the most streams."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.contest.contender import UnmeasuredError, present
from benchmarks.contest.results import ratio, sweep_table
from benchmarks.contest.rounds import Measured
from benchmarks.inbound.results import write_docs as write_inbound
from benchmarks.listeners.report import Report
from benchmarks.machine import cpu_of, cpu_of_children
from benchmarks.pacing.contenders import (
    BARE,
    CONTENDERS,
    DIALLED,
    GO,
    GO_TLS,
    MEDIA,
    MEDIA_TLS,
    NAIVE,
    SWEPT,
    YARDSTICKS,
)
from benchmarks.pacing.most import search
from benchmarks.pacing.results import cost_table, in_short
from benchmarks.recognition.__main__ import Heard
from benchmarks.recognition.__main__ import table as recognition_table
from benchmarks.recognition.__main__ import write_docs as write_recognition
from benchmarks.recognition.score import errors, words_of
from benchmarks.recognition.sentences import SENTENCES
from benchmarks.scenarios.__main__ import scenarios, table
from benchmarks.scenarios.outcome import Outcome
from benchmarks.tables import Results, medians, pages_with, read_table, write_section
from tests.benchmarks.reports import measured_of, report_of
from tests.project import ROOT
from tests.timing import UNIT

NOT_IN_TIME = "the server did not take all that was said in time"
WITHOUT_GO = (BARE, NAIVE, MEDIA)


def measured() -> Measured:
    """What a machine without Go has measured."""
    return measured_of({BARE: (2.0, 9.0, 4.0), NAIVE: (8.0, 8.0, 8.0), MEDIA: (5.0, 6.0, 7.0)})


def test_medians_of_rounds() -> None:
    assert medians([{"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 9.0}]) == {"a": 2.0, "b": 2.0}


def test_ratios_are_of_medians_and_only_of_the_healthy() -> None:
    result = measured()
    assert ratio(result, MEDIA, BARE, 100) == "1.50"
    assert ratio(result, MEDIA, NAIVE, 100) == "0.75"
    assert ratio(result, MEDIA_TLS, BARE, 100) == ""
    result.reports[BARE, 100].append(report_of(own_core=0.95))
    assert ratio(result, MEDIA, BARE, 100) == ""
    table = cost_table(result, CONTENDERS, 100, "one round")
    assert [row[0] for row in table.rows] == [BARE.name, NAIVE.name, MEDIA.name]
    assert table.notes == [f"{BARE.name}, 100 streams: the listeners themselves were saturated"]
    sweep = sweep_table(result, WITHOUT_GO, (100, 200), "one round")
    assert [row[1:3] for row in sweep.rows] == [["", ""], ["4.00", "2.00"]]
    assert sweep.notes == table.notes == in_short(result, SWEPT, (200, 100)).notes


def test_what_tls_is_compared_with_is_told() -> None:
    result = measured()
    assert not in_short(result, CONTENDERS, (100,)).notes
    result.reports[MEDIA_TLS, 100].append(report_of())
    for found in (cost_table(result, CONTENDERS, 100, "one round"), in_short(result, CONTENDERS, (100,))):
        assert [note.partition(":")[0] for note in found.notes] == ["TLS"]


def test_servers_are_held_against_go_that_does_the_same() -> None:
    result = measured_of({BARE: [2.0], GO: [10.0], GO_TLS: [20.0], MEDIA: [5.0], MEDIA_TLS: [15.0]})
    table = cost_table(result, CONTENDERS, 100, "one round")
    column = table.headings.index("× Go")
    assert {row[0]: row[column] for row in table.rows} == {
        BARE.name: "0.20",
        GO.name: "1.00",
        GO_TLS.name: "1.00",
        MEDIA.name: "0.50",
        MEDIA_TLS.name: "0.75",
    }
    assert table.notes[0].endswith("× Go with Go that speaks TLS.")
    assert in_short(result, CONTENDERS, (100,)).headings[-1] == "100 streams, × Go"


def test_without_go_there_is_no_row_and_no_column_of_it() -> None:
    result = measured()
    for found in (
        cost_table(result, CONTENDERS, 100, "one round"),
        in_short(result, CONTENDERS, (100,)),
        sweep_table(result, present(SWEPT, "Go is missing"), (100, 200), "one round"),
    ):
        assert "Go" not in found.as_markdown()
    assert set(YARDSTICKS) - set(present(YARDSTICKS, "Go is missing")) == {GO, GO_TLS}
    assert present(CONTENDERS, "") == list(CONTENDERS)


def test_what_dialled_streams_cost_more_is_told() -> None:
    result = measured_of({MEDIA: [5.0], DIALLED: [6.0]})
    (note,) = cost_table(result, CONTENDERS, 100, "one round").notes
    assert note == f"{DIALLED.name}, 100 streams: 1.20 × {MEDIA.name}, which peers dial."


@pytest.mark.parametrize(
    ("figures", "trouble"),
    [
        ({"own_core": 0.91}, "the listeners themselves were saturated"),
        ({"closed": 1, "bad": 2}, "1 streams were closed, 2 messages were wrong"),
        ({"silent": 1, "newcomers_silent": 2}, "1 streams and 2 newcomers were silent"),
        ({"share": 0.98}, "the server sent 98.0% of what it had to"),
        ({"share": 0.98, "seconds": 1.0}, ""),
        ({"share": 0.0, "silent": 100, "payload": 0}, ""),
        ({"said": 5000, "said_share": 0.98, "closed": 1}, "the listeners themselves were saturated"),
        (
            {"said": 5000, "said_share": 1.0, "server_core": 0.91},
            "the server did not take all that was said in time",
        ),
        ({"said": 5000, "said_share": 1.0, "unheard": 1}, "the server did not take all that was said in time"),
        ({"said": 5000, "said_share": 1.0}, ""),
        ({"server_core": 0.91}, ""),
        ({}, ""),
    ],
)
def test_what_makes_figures_worthless(figures: dict[str, float], trouble: str) -> None:
    assert report_of(**figures).trouble == trouble


def test_tables_are_the_same_on_paper_and_on_screen() -> None:
    table = Results("Title", ["", "figure"], [["row", "1.5"]], ["note"])
    assert table.as_markdown() == "**Title**\n\n|  | figure |\n| --- | --: |\n| row | 1.5 |\n\nnote"
    console = Console(record=True, quiet=True)
    console.print(table.on_terminal())
    assert [row[1:] for row in sweep_table(measured(), WITHOUT_GO, (100, 200), "one round").rows] == [
        ["4.00", "1.00", "8.00", "1.00", "6.00", "1.00"],
        ["4.00", "2.00", "8.00", "2.00", "6.00", "2.00"],
    ]
    assert in_short(measured(), SWEPT, (200, 100)).rows == [
        [NAIVE.name, "2.00", "1.00", "2.00", "1.00"],
        [MEDIA.name, "1.50", "0.75", "1.50", "0.75"],
    ]


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("above\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\n")
    write_section(file, "a", "new\nlines\n")
    write_section(file, "a", "newer é")
    assert file.read_text() == (
        "above\n<!-- a -->\nnewer é\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\n"
    )
    with pytest.raises(ValueError, match=r"README\.md: there is no section <!-- c -->"):
        write_section(file, "c", "text")


@pytest.mark.parametrize("name", ["pacing", "scenarios", "inbound", "recognition"])
def test_there_is_a_section_to_write_to(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.md"
    copy.write_text((ROOT / "benchmarks/README.md").read_text())
    write_section(copy, name, "x")


def test_a_page_of_the_docs_has_the_short_table() -> None:
    assert len(pages_with("pacing", ROOT)) == 1


@pytest.mark.parametrize(("name", "write_docs"), [("inbound", write_inbound), ("recognition", write_recognition)])
def test_the_docs_say_what_was_measured(name: str, write_docs: Callable[[Path], None], tmp_path: Path) -> None:
    """The figures of the docs are those of benchmarks/README.md, and no others."""
    (page,) = pages_with(name, ROOT)
    copy = tmp_path / page.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    copy.write_text(page.read_text())
    (tmp_path / "benchmarks").mkdir()
    for file in ("README.md", "benchmarks/README.md"):
        (tmp_path / file).write_text((ROOT / file).read_text())
    write_section(copy, name, "")
    write_docs(tmp_path)
    assert copy.read_text() == page.read_text()


def test_pages_that_have_a_section_are_found(tmp_path: Path) -> None:
    (tmp_path / "docs/topics").mkdir(parents=True)
    for page, text in {"README.md": "", "docs/a.md": "<!-- a -->", "docs/topics/b.md": "x <!-- a --> y"}.items():
        (tmp_path / page).write_text(text)
    assert pages_with("a", tmp_path) == [tmp_path / "docs/a.md", tmp_path / "docs/topics/b.md"]
    with pytest.raises(ValueError, match="has a section <!-- b -->"):
        pages_with("b", tmp_path)


@pytest.mark.parametrize(
    "command", [["scenarios", "start", "--write"], ["inbound", "--only", "echo", "--write"]], ids=" ".join
)
def test_a_part_of_a_table_is_not_written_over_the_whole(command: list[str]) -> None:
    run = [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:]]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60 * UNIT, check=False)
    assert done.returncode == 2
    assert "the table is written as a whole" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "found", "wrong"),
    [
        ("can you help me", "Can you help me?", 0),
        ("can you help me", "can you me", 1),
        ("can you help me", "can you please help me", 1),
        ("can you help me", "can who help", 2),
        ("can you help me", "", 4),
        ("don't go", "do not go", 2),
    ],
)
def test_wrong_words_are_counted(wanted: str, found: str, wrong: int) -> None:
    assert errors(words_of(wanted), words_of(found)) == wrong


def test_a_word_error_rate_is_of_all_words() -> None:
    heard = [
        Heard(["can", "you"], ["can", "you"], 1.0, 0.1),
        Heard(["help", "me"], ["me"], 3.0, 0.3),
        Heard(["please", "now"], ["please", "now", "now"], 2.0, 0.2),
    ]
    assert recognition_table("heart", heard, 1.5).rows == [["heart", "3", "6", "33%", "0.25", "200"]]
    assert len(SENTENCES) == 25
    assert all(words_of(sentence) for sentence in SENTENCES)


def test_cpu_time_is_that_of_all_that_a_process_started() -> None:
    before = cpu_of_children(os.getpid())
    used = 0.3 - 6 / os.sysconf("SC_CLK_TCK")  # the kernel rounds off each of its figures
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
    with subprocess.Popen([sys.executable, "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_of_children(os.getpid()) - before >= used
        assert cpu_of(process.pid) >= used
        process.communicate(b"\n")
    assert process.returncode == 0


@pytest.mark.parametrize("limit", [1, 2, 5, 1000, 1500, 4321, 6000])
def test_the_most_streams(limit: int) -> None:
    most = search(lambda streams: report_of(late=5.0 if streams <= limit else 15.0))
    assert limit / 1.1 <= most.streams <= limit
    assert str(most) == str(most.streams)


def test_a_server_that_carries_nothing() -> None:
    tried: list[int] = []

    def attempt(streams: int) -> Report:
        tried.append(streams)
        return report_of(closed=1)

    assert str(search(attempt)) == "0"
    assert tried[-1] == 1 == min(tried)


def test_streams_that_cannot_be_measured_are_too_many() -> None:
    def attempt(streams: int) -> Report:
        if streams > 2000:
            raise UnmeasuredError("1999 of 2250 were answered in time")
        return report_of()

    most = search(attempt)
    assert 2000 / 1.1 <= most.streams <= 2000
    assert str(most) == str(most.streams)


def test_the_most_is_a_lower_bound_where_there_are_no_more_streams_or_listeners() -> None:
    assert str(search(lambda streams: report_of())) == "at least 7593"
    saturated = search(lambda streams: report_of(late=1 + streams / 200, own_core=streams / 2000))
    assert 1650 <= saturated.streams <= 1800
    assert str(saturated) == f"at least {saturated.streams}"


def test_a_table_is_read_as_it_was_written() -> None:
    written = sweep_table(measured(), WITHOUT_GO, (100, 200), "one round")
    text = f"{Results('Another', ['a'], [['1']]).as_markdown()}\n\n{written.as_markdown()}\n\nA note."
    read = read_table(text, "Cost and lateness")
    assert (read.title, read.headings, read.rows) == (written.title, written.headings, written.rows)
    with pytest.raises(ValueError, match="no table Loss"):
        read_table(text, "Loss")


def test_what_does_not_hold_is_told() -> None:
    found = {
        "a": Outcome("it idles", "1 %", "under 2 %", holds=True),
        "b": Outcome("it falls", "9 m", "0 m", False, ("b: ouch",)),
    }
    assert table(found).rows == [
        ["a", "it idles", "1 %", "under 2 %", "yes"],
        ["b", "it falls", "9 m", "0 m", "no"],
    ]
    assert table(found).notes == ["b: ouch"]


def test_the_readme_tells_of_every_scenario() -> None:
    told = (ROOT / "benchmarks" / "README.md").read_text()
    assert [name for name in scenarios(10) if f"| `{name}` |" not in told] == []
