"""Plants mistakes one at a time, each in a child process, which runs the tests that reach the function."""

import importlib
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import pytest
from _pytest.runner import runtestprotocol

from .mistakes import Mutant, called_at_import, mutants_of

OUTCOMES = ("killed", "timed out", "survived", "untested")
_SLOWER = 5  # the factor by which a mistake may raise a test's CPU time, before the test counts as timed out
_SLOWER_BY_THE_CLOCK = 60  # the factor by which a test may take longer by the clock, on a busy machine
_SURVIVED, _KILLED, _NONE, _LATE = range(4)  # exit codes of a child process that tests one mistake


class Planter:
    """A pytest plugin that plants mistakes, in place of pytest's own loop over the tests."""

    def __init__(self, files: Sequence[str], sample: int) -> None:
        self._files, self._sample = files, sample
        self._items: list[pytest.Item] = []
        self._reached: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        self.outcomes: dict[str, Counter[str]] = {file: Counter() for file in files}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Set hypothesis up before tests are imported, so that no test fails because the machine is slow."""
        from hypothesis import HealthCheck, Phase, settings  # imported here, as pytest has to import it first

        phases, checks = [Phase.explicit, Phase.generate], list(HealthCheck)  # failures are not shrunk
        settings.register_profile(
            "mutants", phases=phases, suppress_health_check=checks, database=None, deadline=None
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = session.items
        self._look()
        for file in self._files:
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            mutants = list(mutants_of(file, module))
            if self._sample and len(mutants) > self._sample:
                print(f"{file}: {self._sample} of {len(mutants)}", file=sys.__stdout__, flush=True)
                mutants = random.Random(0).sample(mutants, self._sample)
            at_import = called_at_import(file, module)
            for mutant in mutants:
                reached = self._reached.get((file, mutant.function), [])
                if anew := not reached and mutant.function in at_import:
                    reached = self._reached_in(file)
                outcome = self._outcome(mutant, reached, anew=anew)
                if outcome:
                    self.outcomes[file][outcome] += 1
                if outcome not in ("killed", ""):
                    print(f"{outcome}: {mutant}", file=sys.__stdout__, flush=True)
        return True

    def _reached_in(self, file: str) -> list[tuple[float, int]]:
        """The tests that reach any function of a file."""
        return sorted({each for (where, _), tests in self._reached.items() if where == file for each in tests})

    def _look(self) -> None:
        """Run all tests in a child process, to record which functions each test reaches, and its CPU time."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            with os.fdopen(writing, "w") as report:
                json.dump(list(self._tests_reach()), report)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as report:
            for number, (passed, seconds, reached) in enumerate(json.load(report)):
                for file, function in reached if passed else ():
                    self._reached[file, function].append((seconds, number))
        os.waitpid(pid, 0)

    def _tests_reach(self) -> Iterator[tuple[bool, float, list[tuple[str, str]]]]:
        files = {str(Path(file).absolute()): file for file in self._files}
        reached: set[tuple[str, str]] = set()

        def called(frame: FrameType, event: str, argument: object) -> None:
            if (file := files.get(frame.f_code.co_filename)) is not None:
                reached.add((file, frame.f_code.co_qualname))

        for item, following in zip(self._items, [*self._items[1:], None], strict=True):
            reached.clear()
            began = time.process_time()
            threading.settrace(called)
            sys.settrace(called)
            passed = not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
            sys.settrace(None)
            if not passed:
                print(f"fails by itself, and is left out: {item.nodeid}", file=sys.__stderr__, flush=True)
            yield passed, time.process_time() - began, sorted(reached)

    def _outcome(self, mutant: Mutant, reached: list[tuple[float, int]], *, anew: bool) -> str:
        """The outcome of a mistake: one of `OUTCOMES`, or "" if the mistake changes nothing."""
        if not reached:
            return "untested"
        pid = os.fork()
        if not pid:
            self._child(mutant, sorted(reached), anew=anew)
        until = time.monotonic() + 60 + _SLOWER_BY_THE_CLOCK * sum(seconds for seconds, _ in reached)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
        if os.WIFSIGNALED(ended[1]):
            return "timed out" if os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL) else "killed"
        return {_SURVIVED: "survived", _NONE: "", _LATE: "timed out"}.get(os.WEXITSTATUS(ended[1]), "killed")

    def _child(self, mutant: Mutant, reached: list[tuple[float, int]], *, anew: bool) -> None:
        """Test one mistake in a child process, which exits with the outcome. Never returns."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        code = _KILLED  # a mistake that breaks this method itself would be noticed, too
        try:
            code = self._test(reached) if mutant.plant(anew=anew) else _NONE
        finally:
            os._exit(code)

    def _test(self, reached: list[tuple[float, int]]) -> int:
        items = [self._items[number] for _, number in reached]
        for (seconds, _), item, following in zip(reached, items, [*items[1:], None], strict=True):
            limit = int(time.process_time() + 3 + _SLOWER * seconds)  # a mistake may make a loop endless
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            reports = runtestprotocol(item, log=False, nextitem=following)
            if failed := [report for report in reports if report.failed]:
                return _LATE if "Failed: Timeout" in failed[0].longreprtext else _KILLED
        return _SURVIVED
