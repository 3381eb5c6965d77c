"""A server that is measured: a yardstick, or the media server, with the streams that it gets."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.certificate import make_certificate
from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import certificate_options, listen, listening
from benchmarks.listeners.report import Report
from benchmarks.servers import free_port, playing_server, process
from benchmarks.yardsticks import golang

TLS = """
[tls]
certificate = "{}"
key = "{}"
"""
PATHS = """
[defaults]
framing = "pcm"
[paths."/over"]
handler = "playback"
prompt = "minute"
repeat = "forever"
background = "minute"
[paths."/silence"]
handler = "silence"
[paths."/echo"]
handler = "echo"
[paths."/record"]
handler = "record"
directory = "{recordings}"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
timeout = 600.0
keys.1 = {{ hangup = true }}
[paths."/analyse"]
handler = "analyse"
"""
# The platform of streams that the server dials. VoIPBIN lets fewer be dialled in a second. It also talks from the
# first moment on, while listeners may be silent: with `start_timeout` 0, the server does not wait for their sound.
PLATFORM = """
[voipbin]
api = "{}"
dial_rate = 500
start_timeout = 0.0
"""


class UnmeasuredError(Exception):
    """A run has no report: perhaps the server was too busy to answer all peers. The text says why."""


@dataclass(frozen=True)
class Contender:
    """A server that is measured.

    `yardstick` is the module of a yardstick, or its source in Go, and "" for the media server. `options` are the
    yardstick's. Peers dial `path`, or the server dials them, if it is `dialled`. `payload` is the number of bytes
    in a message that they are sent, 0 for a server that sends none. `says` is the format in which they talk, if
    they do.
    """

    name: str
    yardstick: str = ""
    options: tuple[str, ...] = ()
    path: str = "/minute"
    payload: int = 320
    says: str = ""
    tls: bool = False
    dialled: bool = False

    def measure(self, plan: Plan, streams: int) -> Report:
        """Start the server, make one run with this number of streams, and return the report.

        UnmeasuredError if there is none.
        """
        plan = dataclasses.replace(plan, streams=streams, payload=self.payload, says=self.says)
        try:
            with tempfile.TemporaryDirectory() as folder:
                if self.dialled:
                    return self._measure_dialled(plan, Path(folder))
                with self._serving(Path(folder)) as (port, pid):
                    return listen(port, self.path, pid, plan, tls=self.tls)
        except SystemExit as why:
            raise UnmeasuredError(str(why)) from None

    def _measure_dialled(self, plan: Plan, folder: Path) -> Report:
        """The listeners are the platform, and the server dials them, because it is asked to on its admin port."""
        port = free_port()
        certificate = make_certificate(folder) if self.tls else ()
        platform = f"https://localhost:{port}" if self.tls else f"http://127.0.0.1:{port}"
        settings = PATHS.format(recordings=folder) + PLATFORM.format(platform)
        trusted = str(certificate[0]) if certificate else ""
        with (
            playing_server(folder, settings, trusted=trusted) as server,
            listening(port, self.path, server.pid, plan, answer=True, certificate=certificate) as run,
        ):
            run.wait_until_listening()
            for number in range(plan.streams):
                server.attach(f"calls/{number}", self.path)
            run.wait_until_measuring()
            return run.report()

    @contextlib.contextmanager
    def _serving(self, folder: Path) -> Iterator[tuple[int, int]]:
        certificate = make_certificate(folder) if self.tls else ()
        if self.yardstick:
            port = free_port()
            with process(self._command(port, certificate), port, GOMAXPROCS="1") as pid:
                yield port, pid
            return
        settings = PATHS.format(recordings=folder) + (TLS.format(*certificate) if certificate else "")
        with playing_server(folder, settings) as server:
            yield server.port, server.pid

    def _command(self, port: int, certificate: Sequence[Path]) -> list[str]:
        program = [sys.executable, "-m", f"benchmarks.yardsticks.{self.yardstick}"]
        if self.yardstick == golang.FIRST_TRY:
            program = [str(golang.build())]
        return [*program, *self.options, *certificate_options(certificate), str(port)]


def present(contenders: Sequence[Contender], missing: str) -> list[Contender]:
    """The contenders without those in Go, where `missing` says that Go is missing."""
    return [each for each in contenders if not (missing and each.yardstick == golang.FIRST_TRY)]
