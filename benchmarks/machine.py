"""The machine on which benchmarks run: its cores, and the CPU time and memory of processes. Linux only."""

import contextlib
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
SATURATED = 0.9  # share of a core above which a paced process may be too busy to be on time
_CPU_CLOCK = 2  # ~PID << 3 | 2 is the id that Linux has for the CPU time of another process
_PACKAGES = ("mediaserver", "aiohttp", "uvloop", "numpy")


def need_two_cores() -> None:
    """Raise SystemExit if the server and its load would have to share a core."""
    if len(os.sched_getaffinity(0) & {SERVER_CORE, LOAD_CORE}) < 2:
        raise SystemExit(f"cores {SERVER_CORE} and {LOAD_CORE} are needed: one for the server, one for its load")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far, with nanosecond precision: of all its threads, ended ones included."""
    return time.clock_gettime(~pid << 3 | _CPU_CLOCK)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use (VmRSS)."""
    return _status(Path(f"/proc/{pid}/status"), "VmRSS") * 1024


def core_wait(pid: int) -> float:
    """Seconds for which the present threads of a process could have run while others had the cores.

    All of them count: a thread that waits for a core may hold the interpreter's lock, which the others wait for.
    """
    total = 0
    for file in Path(f"/proc/{pid}/task").glob("[0-9]*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            total += int(file.read_text().split()[1])
    return total / 1e9


def wake_ups(pid: int) -> int:
    """How often the present threads of a process have waited so far. Threads that have ended are not counted."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("[0-9]*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            total += _status(task, "voluntary_ctxt_switches")
    return total


def describe() -> str:
    """The processor, the kernel, and the versions of Python and of the packages that take part."""
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
    """Seconds of CPU time of a process and of all processes that it has started, ended ones included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + cpu_of_children(pid)


def cpu_of_children(pid: int) -> float:
    """Seconds of CPU time of the processes that a process has started, and that still run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(cpu_of(int(child)) for task in tasks for child in (task / "children").read_text().split())
