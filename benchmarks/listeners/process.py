"""Runs listeners in a process of their own, on a core of their own."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import LOAD_CORE

from .measure import LISTENING, MEASURING, Plan
from .report import Report


@dataclass(frozen=True)
class Listening:
    """A run of listeners that is in progress."""

    process: "subprocess.Popen[str]"

    def wait_until_listening(self) -> None:
        """Wait until listeners that are to be dialled can be dialled. SystemExit if the process fails before."""
        self._expect(LISTENING)

    def wait_until_measuring(self) -> None:
        """Wait until all listeners are connected and warmed up. SystemExit if the process fails before."""
        self._expect(MEASURING)

    def report(self) -> Report:
        """Wait for the end of the run, and return its report. Call `wait_until_measuring` first."""
        line = self._line()
        if self.process.wait() or not line:
            raise SystemExit("the listeners ended before they told")
        return Report(**json.loads(line))

    def _expect(self, word: str) -> None:
        if self._line() != f"{word}\n":
            raise SystemExit(f"the listeners ended before they were {word}")

    def _line(self) -> str:
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        return self.process.stdout.readline()


@contextlib.contextmanager
def listening(
    port: int,
    path: str,
    pid: int,
    plan: Plan,
    *,
    tls: bool = False,
    answer: bool = False,
    certificate: Sequence[Path] = (),
    core: int = LOAD_CORE,
) -> Iterator[Listening]:
    """Start listeners of the server of process `pid`. At the end of the `with` block, their process is killed.

    With `answer`, they listen on the port, where the server has to dial them (see `wait_until_listening`), by TLS
    if there is a `certificate`, which is its file and that of its key.
    """
    options = [f"--{name.replace('_', '-')}={value}" for name, value in dataclasses.asdict(plan).items()]
    command = [sys.executable, "-m", "benchmarks.listeners", str(port), path, str(pid), *options]
    command += ["--tls"] * tls + ["--answer"] * answer + certificate_options(certificate)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, {core})
            yield Listening(process)
        finally:
            process.kill()


def certificate_options(files: Sequence[Path]) -> list[str]:
    """The options of a program that answers by TLS, with a certificate and its key in two files, if given."""
    return [f"--{name}={file}" for name, file in zip(("certificate", "key"), files, strict=False)]


def listen(port: int, path: str, pid: int, plan: Plan, *, tls: bool = False) -> Report:
    """Make a whole run of listeners, and return its report."""
    with listening(port, path, pid, plan, tls=tls) as run:
        run.wait_until_measuring()
        return run.report()
