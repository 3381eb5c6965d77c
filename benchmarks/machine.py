"""The machine that is measured on: its cores, and what a process has used of it. Linux only."""

import contextlib
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
SATURATED = 0.9  # share of a core from which on a process that should wait for its time may be late for its work
_CPU_CLOCK = 2  # ~PID << 3 | 2 is the id that Linux has for the CPU time of another process
_PACKAGES = ("mediaserver", "aiohttp", "uvloop", "numpy")


def need_two_cores() -> None:
    """SystemExit where the server and its load would share one."""
    if len(os.sched_getaffinity(0) & {SERVER_CORE, LOAD_CORE}) < 2:
        raise SystemExit(f"cores {SERVER_CORE} and {LOAD_CORE} are needed: one for the server, one for its load")


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, to the nanosecond: all its threads, those that ended as well."""
    return time.clock_gettime(~pid << 3 | _CPU_CLOCK)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use (VmRSS)."""
    return _status(Path(f"/proc/{pid}/status"), "VmRSS") * 1024


def wake_ups(pid: int) -> int:
    """How often the threads that a process has have waited for something so far; nothing tells of ended ones."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("[0-9]*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            total += _status(task, "voluntary_ctxt_switches")
    return total


def describe() -> str:
    """Processor, kernel, and versions of what takes part."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = cpus[0].partition(":")[2].strip() if cpus else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, {packages}"
    )


def _status(file: Path, name: str) -> int:
    (value,) = (line.split()[1] for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(value)


def cpu_of(pid: int) -> float:
    """Seconds of CPU time of a process and of all that it started, those that are over too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + cpu_of_children(pid)


def cpu_of_children(pid: int) -> float:
    """Seconds of CPU time of the processes that one has started, and that are not over."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(cpu_of(int(child)) for task in tasks for child in (task / "children").read_text().split())
