"""The machine that is measured on: its cores, and what a process has used of it. Linux only."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
SATURATED = 0.9  # share of a core from which on a process that should wait for its time may be late for its work
_PACKAGES = ("mediaserver", "aiohttp", "uvloop", "numpy")


def need_two_cores() -> None:
    """SystemExit where the server and its load would share one."""
    if len(os.sched_getaffinity(0) & {SERVER_CORE, LOAD_CORE}) < 2:
        raise SystemExit(f"cores {SERVER_CORE} and {LOAD_CORE} are needed: one for the server, one for its load")


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used so far, to the nanosecond."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use (VmRSS)."""
    return _status(Path(f"/proc/{pid}/status"), "VmRSS") * 1024


def wake_ups(pid: int) -> int:
    """How often the threads of a process have waited for something so far, all together."""
    return sum(
        _status(task, "voluntary_ctxt_switches") for task in Path(f"/proc/{pid}/task").glob("[0-9]*/status")
    )


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
