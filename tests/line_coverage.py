"""A plugin of pytest, `-p tests.line_coverage`: how many lines of the package tests run in their own processes.

SlipCover measures it in all workers of pytest-xdist. Its own plugin for them is not used, because that takes the
probes out of the code again while tests run, which holds all streams of a process up for half a second.
"""

import json
from typing import Any

import pytest
import slipcover

SOURCES = ["mediaserver"]
_NEVER = 2**31 - 1

_MEASURED = slipcover.Slipcover(d_miss_threshold=_NEVER)
_IMPORTS = slipcover.ImportManager(_MEASURED, slipcover.FileMatcher(sources=SOURCES))
_IMPORTS.__enter__()  # this module is imported before all that imports the package

_REPORTS: list[dict[str, Any]] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's lines to the process that started it."""
    report = _MEASURED.get_coverage()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["lines"] = json.dumps(report)
    else:
        _REPORTS.append(report)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's lines."""
    if hasattr(node, "workeroutput"):  # one that crashed has none
        _REPORTS.append(json.loads(node.workeroutput["lines"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the share of all lines that were run."""
    found = slipcover.Slipcover(source=SOURCES).get_coverage()  # of files that nobody imported, too
    for report in _REPORTS:
        slipcover.merge_coverage(found, report)
    share = found["summary"]["percent_covered_display"]
    terminalreporter.write_line(f"Lines of mediaserver that tests ran in their own processes: {share} %")
