"""The yardsticks: each does what the media server is held against, and the one in Go is built where it can be."""

from pathlib import Path

import pytest

from benchmarks.contest.contender import Contender
from benchmarks.inbound.contenders import contest
from benchmarks.listeners.measure import Plan
from benchmarks.pacing.contenders import GO_TLS
from benchmarks.yardsticks import golang

FEW = Plan(seconds=0.6, warm_up=0.3, rate=500)
NEEDS_GO = pytest.mark.skipif(bool(golang.missing()), reason=golang.missing())
CONTEST = contest("audiosocket")
GO = [CONTEST.go, CONTEST.go_echo, contest("rtp").go_echo, GO_TLS]


@NEEDS_GO
@pytest.mark.parametrize("contender", GO, ids=lambda contender: f"{contender.name} {contender.payload}")
def test_go_sends_whole_frames_and_hears_what_is_said(contender: Contender) -> None:
    report = contender.measure(FEW, 4)
    assert (report.streams, report.closed, report.bad, report.unheard) == (4, 0, 0, 0)
    assert report.frames > 0
    assert bool(report.said) is bool(contender.says)


def test_what_is_missing_for_go_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    line = "Go is left out; for it: apt install golang-go golang-github-gorilla-websocket-dev"
    assert golang.missing(tmp_path) == line  # no library
    (tmp_path / "src/github.com/gorilla/websocket").mkdir(parents=True)
    assert golang.missing(tmp_path) == ""
    (tmp_path / "go").unlink()
    assert golang.missing(tmp_path) == line  # no compiler
