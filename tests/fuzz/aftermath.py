"""What must hold of a server whatever came to it: a clean log, nothing left open, calls that notice nothing."""

import asyncio
import contextlib
import json
import math
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mediaserver.audio.pcm import FRAME_SAMPLES
from tests.fuzz.configs import MARK
from tests.fuzz.lab import SAMPLES, Lab
from tests.server.process import ServerProcess
from tests.sound import read_wav
from tests.timing import PATIENCE, UNIT, WITNESS, eventually, lag_from_now

_FAULTS = ("Traceback", "Unhandled", "was never retrieved", "was never awaited", '"exception"')
_ON_TIME = 20 * UNIT  # ms of lateness that 99 in 100 frames stay under, once the machine is at rest again
_SETTLED = PATIENCE  # seconds for what was cut off to be let go of


@dataclass
class Watch:
    """Reads a server's log as it grows."""

    server: ServerProcess
    _read: int = 0

    def complaints(self) -> list[str]:
        """The lines since the last time that no input may cause."""
        with self.server.log_file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]  # the rest is still being written
        self._read += len(whole)
        lines = filter(None, whole.decode(errors="replace").split("\n"))
        found = [f"{fault}: {line}" for line in lines if (fault := _fault(line))]
        if self.server.process.poll() is not None:
            found.append(f"the server died: exit code {self.server.process.returncode}")
        return found


def _fault(line: str) -> str:
    """What is wrong with a line, if anything is."""
    try:
        about = json.loads(line)
        level, event = about["level"], about["event"]
    except (ValueError, LookupError, TypeError):
        return "not a line of the log"
    if MARK in line:
        return f"a secret in the line of {event}"
    if level in ("error", "critical") or any(fault in line for fault in _FAULTS):
        kinds = [error["exc_type"] for error in about.get("exception", ())]
        return " ".join((level, event, *kinds))
    return ""


def descriptors(server: ServerProcess) -> int:
    """How many the server has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


async def settle(server: ServerProcess, before: int) -> list[str]:
    """Wait until nothing more is open than before; what is wrong where it stays so."""
    with contextlib.suppress(TimeoutError, FileNotFoundError):
        async with asyncio.timeout(_SETTLED):
            while descriptors(server) > before:
                await asyncio.sleep(0.05)
            return []
    return [f"descriptors are left open: more than {before}, or the server is gone"]


@dataclass
class HealthyCall:
    """A call from another process, which hears the prompt again and again; judged when it is over."""

    problems: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def healthy_call(lab: Lab, seconds: float | None = None) -> AsyncIterator[HealthyCall]:
    """A call for so long, or while the block lasts."""
    call, heard = HealthyCall(), lab.directory / "healthy.wav"
    command = [
        sys.executable,
        "-m",
        "mediaserver",
        "call",
        lab.server.url("/forever"),
        "--json",
        "--record",
        heard,
    ]
    command += [] if seconds is None else ["--seconds", str(seconds)]
    heard.unlink(missing_ok=True)
    WITNESS.anew()
    lag = lag_from_now(lab.server.process.pid)
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=subprocess.PIPE)
    try:
        await eventually(lambda: heard.exists() and heard.stat().st_size)  # the first sound is there
        yield call
    finally:
        if seconds is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), (seconds or 0) + PATIENCE)
    call.report = json.loads(output)
    call.problems = _problems(call.report, heard, math.inf if seconds is None else _ON_TIME + 1000 * lag())


def _problems(report: dict[str, Any], heard: Path, on_time: float) -> list[str]:
    """What was wrong with a call, byte for byte and in time."""
    if not report.get("frames"):
        return [f"the healthy call heard nothing: {report}"]
    found = []
    frames = report["frames"]
    expected = np.resize(SAMPLES, frames * FRAME_SAMPLES)
    if report["bad_frames"] or not np.array_equal(read_wav(heard), expected):
        found.append("the healthy call did not hear the prompt byte for byte")
    if frames > 50 and report["lateness_ms"]["p99"] > on_time:
        found.append(f"the healthy call was not on time: {report['lateness_ms']}")
    return found
