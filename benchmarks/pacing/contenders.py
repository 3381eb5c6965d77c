"""The servers that are measured: two yardsticks, and the media server in its encapsulations and framings."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.certificate import make_certificate
from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.listeners.report import Report
from benchmarks.servers import free_port, playing_server, process

TLS = """
[tls]
certificate = "{}"
key = "{}"
"""
BACKGROUND = """
[paths."/over"]
handler = "playback"
prompt = "minute"
repeat = "forever"
framing = "pcm"
background = "minute"
"""


@dataclass(frozen=True)
class Contender:
    """A server that is measured, and the path that is dialled.

    `module` is the module of a yardstick, "" for the media server. `payload` is the number of bytes in a message.
    """

    name: str
    module: str = ""
    path: str = "/minute"
    payload: int = 320
    tls: bool = False

    def measure(self, plan: Plan, streams: int) -> Report:
        """Start the server, make one run with this number of streams, and return the report."""
        plan = dataclasses.replace(plan, streams=streams, payload=self.payload)
        with tempfile.TemporaryDirectory() as folder, self._serving(Path(folder)) as (port, pid):
            return listen(port, self.path, pid, plan, tls=self.tls)

    @contextlib.contextmanager
    def _serving(self, folder: Path) -> Iterator[tuple[int, int]]:
        if self.module:
            port = free_port()
            with process((sys.executable, "-m", f"benchmarks.yardsticks.{self.module}", str(port)), port) as pid:
                yield port, pid
            return
        settings = TLS.format(*make_certificate(folder)) * self.tls
        with playing_server(folder, BACKGROUND * self.path.startswith("/over") + settings) as server:
            yield server.port, server.pid


BARE = Contender("bare loop", "bare_loop", "/")
NAIVE = Contender("naive aiohttp", "naive_aiohttp", "/")
MEDIA = Contender("media server, audiosocket/pcm")
YARDSTICKS = (BARE, NAIVE)
CONTENDERS = (
    *YARDSTICKS,
    MEDIA,
    Contender("media server, audiosocket/message", path="/minute?framing=message", payload=323),
    Contender("media server, rtp", path="/minute?encapsulation=rtp", payload=172),
    Contender("media server, audiosocket/pcm, background", path="/over"),
    Contender("media server, rtp, background", path="/over?encapsulation=rtp", payload=172),
    Contender("media server, audiosocket/pcm, TLS", tls=True),
)
SWEPT = (*YARDSTICKS, MEDIA)
