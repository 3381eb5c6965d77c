"""A server that was started on a terminal, which may be closed while it runs."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.preloaded import MEDIASERVER
from tests.server.process import ServerProcess, listening, start, write_config
from tests.timing import PATIENCE

SILENCE = '[paths."/silence"]\nhandler = "silence"\n'
# As a shell's: a session of its own, whose terminal is its standard input. Tests may run under nohup themselves.
ON_ITS_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@dataclass
class OnTerminal:
    """A server, and our end of its terminal."""

    process: subprocess.Popen[bytes]
    ours: int
    shown: str = ""

    def read_until(self, words: str, count: int = 1) -> None:
        while self.shown.count(words) < count:
            ready, _, _ = select.select([self.ours], [], [], PATIENCE)
            assert ready, self.shown
            self.shown += os.read(self.ours, 65_536).decode()

    def close(self) -> None:
        """Close the terminal."""
        os.close(self.ours)
        self.ours = -1


@contextlib.contextmanager
def on_terminal(config: Path, error: int | None = None, before: Sequence[str] = ()) -> Iterator[OnTerminal]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", ON_ITS_TERMINAL, *before, *MEDIASERVER, "serve", "--config", str(config)]
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "MEDIASERVER_LOG__FORMAT": "json"}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if error is None else error,
        env=environment,
        cwd=config.parent,
    )
    os.close(theirs)
    server = OnTerminal(process, ours)
    try:
        yield server
    finally:
        process.kill()
        process.wait()
        if server.ours >= 0:
            server.close()


def test_a_server_drains_when_its_terminal_is_closed(tmp_path: Path) -> None:
    with on_terminal(write_config(tmp_path, SILENCE)) as server:
        server.read_until("open to anybody")
        server.close()
        assert server.process.wait(PATIENCE) == 0


def test_a_log_in_a_file_has_that_the_terminal_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as error, on_terminal(write_config(tmp_path, SILENCE), error.fileno()) as server:
        ServerProcess(server.process, log).wait_for_event("listening")
        server.close()
        assert server.process.wait(PATIENCE) == 0
    assert '"terminal closed"' in log.read_text()
    assert '"drained"' in log.read_text()


def test_sighup_reloads_while_the_terminal_is_there(tmp_path: Path) -> None:
    with on_terminal(write_config(tmp_path, SILENCE)) as server:
        server.read_until("open to anybody")
        server.process.send_signal(signal.SIGHUP)
        server.read_until("configuration reloaded")
        server.process.send_signal(signal.SIGTERM)
        server.read_until('"drained"')
        assert server.process.wait(PATIENCE) == 0


def test_without_a_terminal_of_its_own_sighup_reloads(tmp_path: Path) -> None:
    config = write_config(tmp_path, SILENCE)
    with listening(start(["setsid", *MEDIASERVER, "serve", "--config", str(config)], tmp_path / "log")) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_event("configuration reloaded")
        assert server.stop() == 0


def test_nohup_keeps_a_server_running_when_its_terminal_is_closed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as error,
        on_terminal(write_config(tmp_path, SILENCE), error.fileno(), ["nohup"]) as server,
    ):
        ServerProcess(server.process, log).wait_for_event("listening")
        server.close()
        ServerProcess(server.process, log).wait_for_event("configuration reloaded")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("style", ["json", "console"])
async def test_a_server_without_standard_error_serves_and_drains(tmp_path: Path, style: str) -> None:
    config = write_config(tmp_path, f'[log]\nlevel = "debug"\nformat = "{style}"\n{SILENCE}')
    reader, writer = os.pipe()
    process = subprocess.Popen([*MEDIASERVER, "serve", "--config", str(config)], stderr=writer)
    os.close(writer)
    try:
        told = b""
        while b"listening" not in told:
            told += os.read(reader, 65_536)
        os.close(reader)
        process.send_signal(signal.SIGHUP)  # which it logs
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
