"""What stands round a fault: a server that can be counted, fifty healthy calls, a look at what is left behind."""

import asyncio
import contextlib
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults import healthy
from tests.server.process import ServerProcess, connected, get, listening, start, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, eventually, lag_from_now

LINES = 20  # of one kind, a second
Report = Callable[[str, object], None]  # the fixture of that name

PATHS = """
[paths."/tally"]
handler = "tally:Tally"
[paths."/silence"]
handler = "silence"
[paths."/analyse"]
handler = "analyse"
encapsulation = "sln"
"""

TALLY = '''
import asyncio, gc, pathlib
from collections import Counter
from mediaserver.handlers import Handler

class Tally(Handler):
    """Writes down what the process holds, of each kind: a close has no room for the names of all tasks."""
    async def run(self, call):
        gc.collect()
        held = Counter(type(each).__name__ for each in gc.get_objects())
        kinds = ("HttpConnection", "Session", "Pacer", "WebSocketConnection", "AudioSocketConnection")
        kinds += ("SSLProtocol", "TlsHandshake")
        running = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())
        told = [f"{held[kind]} {kind}" for kind in kinds]
        told += [f"{number} tasks {name}" for name, number in sorted(running.items())]
        pathlib.Path(__file__).with_name("held.txt").write_text(", ".join(told))
        call.close(4000)
'''


@contextlib.contextmanager
def counting_server(directory: Path, paths: str = "", **limits: Any) -> Iterator[ServerProcess]:
    """A server with paths for healthy calls, for bad ones, and one that counts what the process holds."""
    watch = '[prompts]\nwatch = "off"\n'  # which has its own descriptors and tasks, now and then
    config = write_config(directory, watch + healthy.PATHS + PATHS + paths, **limits)
    write_wav(directory / "prompts/prompt.wav", healthy.PROMPT)
    (directory / "tally.py").write_text(TALLY)
    (directory / "echo.py").write_text(healthy.ECHO)
    # A process of its own from the start: a forked one takes memory for each page of the other's that it touches.
    command = [sys.executable, "-u", "-m", "mediaserver", "serve", "--config", str(config)]
    with listening(start(command, config.with_suffix(".log"), None, PYTHONPATH=str(directory))) as server:
        yield server


@dataclass(frozen=True)
class Held:
    """What is held for a server while there is no call: by its process, and by the kernel for its port."""

    objects: str
    descriptors: int
    sockets: int


async def held(server: ServerProcess, tls: ssl.SSLContext | None = None) -> Held:
    """Count all."""
    async with connected(server.url("/tally", "wss" if tls else "ws"), ssl=tls or True) as websocket:
        own = websocket.get_extra_info("sockname")[1]
        while (message := await websocket.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        assert message.data == 4000, message
    await eventually(lambda: own not in ends(server))  # nor is this one to be counted
    told = (server.log_file.parent / "held.txt").read_text()
    return Held(told, descriptors(server), len(ends(server)))


def descriptors(server: ServerProcess) -> int:
    """Open files of the process."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def resident(server: ServerProcess) -> int:
    """Bytes of memory of the process."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


_TIME_WAIT = "06"


def ends(server: ServerProcess) -> list[int]:
    """The far ports of what the kernel keeps for the port, but of ends that just wait for stray packets."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = [(_port(local), _port(remote)) for _, local, remote, state, *_ in lines if state != _TIME_WAIT]
    return [remote for local, remote in found if local == server.port]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


@dataclass
class Since:
    """What happened on a server since some moment."""

    server: ServerProcess
    numbers: dict[str, float]
    log_at: int  # bytes
    lag: Callable[[], float]  # seconds by which the server may have been late since, by no fault of its own

    async def count(self, metric: str, **labels: str) -> int:
        """By how much a counter rose, over all labels but those given."""
        return round(total(await scrape(self.server), metric, **labels) - total(self.numbers, metric, **labels))

    def ended(self, path: str) -> list[dict[str, Any]]:
        """The log's line of each stream that ended on a path."""
        with self.server.log_file.open("rb") as log:
            log.seek(self.log_at)
            whole = [line for line in log if line.startswith(b"{") and line.endswith(b"}\n")]
        lines = [json.loads(line) for line in whole if b'"stream ended"' in line]
        return [line for line in lines if line["path"] == path]


def most_logged(lines: list[dict[str, Any]]) -> float:
    """As many lines of one kind as are logged in the time from the first to the last: the others are left out."""
    first, last = (datetime.fromisoformat(line["timestamp"]) for line in (lines[0], lines[-1]))
    return LINES * (1 + (last - first).total_seconds()) + 1


async def scrape(server: ServerProcess) -> dict[str, float]:
    """All metrics, as they are written."""
    _, text = await get(server.admin_url("/metrics"))
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def total(numbers: dict[str, float], metric: str, **labels: str) -> float:
    """A metric, over all labels but those given."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        value
        for key, value in numbers.items()
        if key.partition("{")[0] == metric and all(label in key for label in wanted)
    )


@contextlib.asynccontextmanager
async def fifty_calls(
    server: ServerProcess, report: Report, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Since]:
    """Fifty healthy calls beside what is done here: it must harm none of them, and leave nothing behind."""
    before = await nothing_more(server, tls)
    log_at = server.log_file.stat().st_size
    since = Since(server, await scrape(server), log_at, lag_from_now(server.process.pid))
    async with healthy.calls(server, tls) as calls:
        yield since
        await asyncio.sleep(0.1)  # whatever is late by what was done has come
        verdict = calls.judge()
    report("worst_ms", round(1000 * verdict.worst, 1))
    report("own_lag_ms", round(1000 * verdict.own_lag, 1))
    report("late_ticks", await since.count("mediaserver_late_ticks_total"))
    report("resident_mb", round(resident(server) / 1e6, 1))
    after = await nothing_more(server, tls, before)
    assert after == before, f"{after} is not {before}"


async def nothing_more(
    server: ServerProcess, tls: ssl.SSLContext | None = None, expected: Held | None = None
) -> Held:
    """What is held when nothing more ends; what is expected, as soon as that is so."""
    before: Held | None = None
    now = await held(server, tls)
    deadline = time.monotonic() + PATIENCE
    while now != (expected or before) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        before, now = now, await held(server, tls)
    return now
