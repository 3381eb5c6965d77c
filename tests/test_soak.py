"""The soak, for some seconds: that its figures are right, and that it fails where it should."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.soak.formats import noise
from benchmarks.soak.hostile import KINDS
from benchmarks.soak.report import Report
from benchmarks.soak.schedule import MachineLag, Schedule
from benchmarks.soak.script import LINGER, Exactly, Script
from benchmarks.soak.soak import Plan, soak
from benchmarks.soak.tally import Kind, Tally
from benchmarks.soak.watch import History, Sample
from mediaserver.wire.encapsulation import PCM, PCMU, Encoding

FRAME = 320


async def test_a_short_soak(tmp_path: Path) -> None:
    report = await soak(Plan(seconds=4, calls=40, seed=7), Console(quiet=True))
    told = json.loads(report.write(tmp_path / "out").read_text())
    assert told["problems"] == [], told["trouble"]
    assert report.exit_code == 0
    assert set(told["kinds"]) == {"playback", "hold", "tone", "echo", "record", "menu"}
    assert told["total"]["calls"] == sum(kind["calls"] for kind in told["kinds"].values()) >= 40
    assert told["total"]["frames"] + told["skipped_ticks"] > 40 * 2 * 50  # those that were too late are skipped
    assert max(sample["calls"] for sample in told["samples"]) > 20  # most of the forty at a time
    assert (told["total"]["lost"], told["total"]["wrong"]) == (0, 0)
    assert set(told["faults"]) <= set(KINDS)
    assert len(told["faults"]) >= 2
    assert told["reloads"]["ok"] >= 1
    assert told["server_exit_code"] == 0
    assert told["samples"][-1]["seconds"] > told["seconds"] / 2  # to the end
    assert 0 < told["rss_mb"]["start"] < 1000


def report_of(kind: Kind, rss_end: float = 100.0, fds_end: float = 20.0) -> Report:
    """A report in which all else went well."""
    tally = Tally()
    tally.kinds["playback"].add(kind)
    history = History(warm_up=0.0)
    for seconds, rss in ((0.0, 100.0), (3600.0, rss_end)):
        history.samples.append(Sample(seconds, 1, rss, 1.0, 20, 0.1, 0.2, 0.1, 0, 0, 0))
    begin, end = (defaultdict(float, {"process_open_fds": fds}) for fds in (20.0, fds_end))
    return Report(
        seconds=3600.0,
        seed=1,
        tally=tally,
        history=history,
        begin=begin,
        end=end,
        changes={},
        reloads=Counter(),
        taken_in=1,
        errors=[],
        unfinished=[],
        own_lag=0.0,
        server_code=0,
    )


def test_all_well_is_0() -> None:
    report = report_of(Kind(calls=1000, frames=50_000, outliers=1))
    assert report.problems == []
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (report_of(Kind(calls=1, lost=1)), "1 frames were lost"),
        (report_of(Kind(calls=1, wrong=2)), "2 frames were wrong"),
        (report_of(Kind(calls=1, failed=1)), "1 calls did not begin or end as they should"),
        (report_of(Kind(calls=1000, outliers=4)), "4 of 1000 calls had a frame more than 250 ms late"),
        (report_of(Kind(calls=1), rss_end=143.0), "memory grew from 100 to 143 MB, over 142"),
        (report_of(Kind(calls=1), fds_end=29.0), "open files grew from 20 to 29"),
        (report_of(Kind()), "there was no call"),
    ],
)
def test_anything_else_is_1(report: Report, problem: str) -> None:
    assert report.problems == [problem]
    assert report.exit_code == 1


@pytest.mark.parametrize("encoding", [PCM, PCMU], ids=["pcm", "pcmu"])
def test_a_missing_frame_is_lost_and_a_strange_one_is_wrong(encoding: Encoding) -> None:
    old, new = noise(random.Random(1), 10), noise(random.Random(2), 12, samples=40)
    scripts = [Script(b"", old, 1, label="old"), Script(b"", new, 2, label="new")]
    payloads = [item[len(encoding.header) :] for item in encoding.packetize(2 * new)]
    assert len(payloads) == 25
    silence = encoding.compand(bytes(FRAME))

    whole = Exactly(encoding, lambda first: scripts)
    for payload in [silence, *payloads, *[silence] * LINGER]:
        whole.take(payload)
    whole.closed()
    assert (whole.label, whole.lost, whole.wrong, whole.waits) == ("new", 0, 0, 1)

    holed = Exactly(encoding, lambda first: scripts)
    for payload in [*payloads[:5], *payloads[8:20], b"x" * len(silence)]:
        holed.take(payload)
    holed.closed()
    assert (holed.label, holed.lost, holed.wrong) == ("new", 3 + 4 + LINGER, 1)


def test_lateness_is_against_the_schedule_of_the_last_seconds() -> None:
    schedule = Schedule()
    assert [round(schedule.late(number * 0.02 + late), 6) for number, late in enumerate((0, 0.01, 0, 0.3, 0))] == [
        0,
        0.01,
        0,
        0.3,
        0,
    ]
    moved = [schedule.late(number * 0.02 + 0.5) for number in range(5, 200)]  # lost time moves all that follows
    assert round(moved[0], 6) == 0.5
    assert round(moved[-1], 6) == 0.0


def test_a_late_frame_is_no_outlier_where_the_machine_was_late() -> None:
    lag = MachineLag()
    assert not lag.excuses(1.0, 0.3)
    for number in range(200):  # for ten seconds; from 5.0 to 5.5 the server waits for a core
        now = number * 0.05
        lag.add(now, now, 2.0 + min(0.5, max(0.0, now - 5.0)))
    assert not lag.excuses(4.9, 0.3)
    assert lag.excuses(5.5, 0.7)
    assert not lag.excuses(5.5, 0.8)  # that is more than it waited
    assert lag.excuses(6.9, 0.7)  # the schedule has not moved yet
    assert not lag.excuses(7.6, 0.3)
    lag.add(20.0, 20.3, 2.5)  # this process was held up
    assert lag.excuses(20.2, 5.0)
    assert not lag.excuses(19.0, 5.0)


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="`make soak` installs it")
    from benchmarks.soak.plot import plot

    history = report_of(Kind(calls=1)).history
    assert plot(history.samples, 60.0, tmp_path / "out/soak.png").read_bytes().startswith(b"\x89PNG")
