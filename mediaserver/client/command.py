"""The client's commands on a terminal: a meter is drawn while the stream lasts, and Ctrl-C and SIGTERM hang up."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence

from rich.console import Console

from mediaserver.call import End
from mediaserver.client import attach as attaching
from mediaserver.client import simulator
from mediaserver.client.attach import AttachRequest
from mediaserver.client.measure import Report
from mediaserver.client.meter import Meter
from mediaserver.client.simulator import OnFrame
from mediaserver.config.settings import Settings
from mediaserver.playout.prompts.library import Progress


async def call(plan: simulator.Call, meter: Console | None, shown: str) -> Report:
    """One call, which still reports when it is hung up; drawn on `meter`, under the name `shown`."""
    with _drawn(meter, shown) as heard:
        return await simulator.simulate(plan, heard or (lambda pcm, at: None), _on_signals())


async def attach(
    settings: Settings,
    where: str,
    problems: Sequence[str],
    request: AttachRequest,
    progress: Progress,
    meter: Console | None,
) -> End:
    """One stream to its end, drawn on `meter`. ConfigError where the configuration is wrong."""
    with _drawn(meter, request.resource) as heard:
        return await attaching.attach(settings, where, problems, request, progress, _on_signals(), heard)


def _on_signals() -> asyncio.Event:
    """Set at Ctrl-C and SIGTERM."""
    hang_up = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, hang_up.set)
    return hang_up


@contextlib.contextmanager
def _drawn(console: Console | None, shown: str) -> Iterator[OnFrame | None]:
    """What takes frames to draw them, on a terminal."""
    if console is None or not console.is_terminal:
        yield None
        return
    with Meter(console, shown) as meter:
        yield meter.heard
