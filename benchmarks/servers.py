"""Runs the servers that are measured: each is a process on a core of its own, which is killed at the end."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from .machine import SERVER_CORE
from .sounds import write_tone

_READY = 600.0  # seconds within which a server must have decoded its prompts and listen
_LOOK = 0.02  # seconds between two attempts to connect to a server that starts
Scrape = defaultdict[str, float]
MEDIA_SERVER = (sys.executable, "-m", "mediaserver", "serve", "--config")

SERVER = """
[server]
host = "127.0.0.1"
port = {port}
drain_timeout = 0.1
[admin]
port = {admin}
[log]
level = "error"
"""
MINUTE = """
[paths."/minute"]
handler = "playback"
prompt = "minute"
repeat = "forever"
framing = "pcm"
"""


def read_metrics(text: str) -> Scrape:
    """The values of a text of /metrics, by name (summed over labels), and by name and labels; 0 if missing."""
    values: Scrape = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(value for _, value in sorted(sample.labels.items()))
            values[sample.name] += sample.value
            if labels:
                values[f"{sample.name}{{{labels}}}"] = sample.value
    return values


def free_port() -> int:
    """A free TCP port, outside the range from which the system gives a port to each connection that is dialled."""
    while True:
        port = random.randrange(10_000, 32_768)  # not seeded: other processes may look for some as well
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def process(
    command: Sequence[str], port: int, cores: Sequence[int] = (SERVER_CORE,), **environment: str
) -> Iterator[int]:
    """Start a server's process, wait until it listens on `port`, and yield its id. SystemExit if it never does."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | environment) as server:
        try:
            os.sched_setaffinity(server.pid, set(cores))  # at once, because threads inherit the process's cores
            _wait_until_listening(server, port)
            yield server.pid
        finally:
            server.kill()


def _wait_until_listening(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _READY
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(_LOOK)
    raise SystemExit(f"nobody listens on port {port}")


@dataclass(frozen=True)
class MediaServer:
    """A running `mediaserver serve`, which is ready for calls."""

    pid: int
    port: int
    admin: int

    def metrics(self) -> Scrape:
        """The present values of the server's metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            return read_metrics(answer.read().decode())

    def attach(self, resource: str, path: str) -> None:
        """Have the server dial a call of the platform, whose stream gets raw PCM, and run a path on it."""
        body = json.dumps({"resource": resource, "path": path, "encapsulation": "sln"}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/v1/attach", body, timeout=10):
            """The answer has nothing that is needed here."""


@contextlib.contextmanager
def media_server(
    folder: Path, settings: str, cores: Sequence[int] = (SERVER_CORE,), trusted: str = ""
) -> Iterator[MediaServer]:
    """Run a media server with these settings and the prompts in `folder`. Its caches are in the folder, too.

    Where it dials by TLS, it trusts a certificate in the file `trusted`.
    """
    port, admin = free_port(), free_port()
    config = folder / "config.toml"
    config.write_text(SERVER.format(port=port, admin=admin) + settings, encoding="utf-8")
    environment = {"XDG_CACHE_HOME": str(folder / "cache")} | ({"SSL_CERT_FILE": trusted} if trusted else {})
    with process((*MEDIA_SERVER, str(config)), port, cores, **environment) as pid:
        yield MediaServer(pid, port, admin)


@contextlib.contextmanager
def playing_server(
    folder: Path, settings: str = "", cores: Sequence[int] = (SERVER_CORE,), trusted: str = ""
) -> Iterator[MediaServer]:
    """Run a media server that plays a prompt of one minute for ever at the path `/minute`: see `media_server`."""
    write_tone(folder / "prompts" / "minute.wav", 60)
    with media_server(folder, MINUTE + settings, cores, trusted) as server:
        yield server
