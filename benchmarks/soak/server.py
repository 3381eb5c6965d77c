"""The server under test: a real process with its configuration, its log and its metrics."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from benchmarks.servers import Scrape, read_metrics

from .prompts import ON_PURPOSE, passed

CONFIG = """
[server]
host = "127.0.0.1"
port = 0
heartbeat = 5
handshake_timeout = 2
stall_timeout = 2
drain_timeout = 2
[admin]
port = 0
[log]
format = "json"
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
[paths."/tone/{tone}"]
handler = "tone"
tone = "{tone}"
[paths."/echo"]
handler = "echo"
delay_ms = 200
[paths."/record/{name}"]
handler = "record"
directory = "RECORDINGS"
file = "{resource}.wav"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "menu/main"
timeout = 60
keys.1 = { play = "menu/thanks", menu = "main" }
keys.0 = { play = "menu/bye", hangup = true }
"""
_READY, _ENDED, _REST = 600.0, 120.0, 60.0  # seconds for the server to start, to end, and to close its last call


@dataclass
class Server:
    """A process of `mediaserver serve` in a folder of its own."""

    folder: Path
    process: subprocess.Popen[bytes]
    url: str = ""
    admin: str = ""
    reloads: Counter[str] = field(default_factory=Counter)  # the number of reloads that were requested

    @classmethod
    async def start(cls, folder: Path) -> Self:
        """Start the server with the prompts in `folder`. SystemExit if the server does not come up."""
        config = folder / "config.toml"
        config.write_text(_config(folder), encoding="utf-8")
        (folder / "recordings").mkdir()
        command = [sys.executable, "-m", "mediaserver", "serve", "--config", str(config)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)  # noqa: ASYNC220
        server = cls(folder, process)
        deadline = time.monotonic() + _READY
        while not (listening := [line for line in server.log() if line["event"] == "listening"]):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise SystemExit(f"the server does not come up:\n{(folder / 'log').read_text()}")
            await asyncio.sleep(0.05)
        server.url = f"ws://127.0.0.1:{listening[0]['port']}"
        server.admin = f"http://{listening[0]['admin']}"
        return server

    @property
    def recordings(self) -> Path:
        """The folder in which the server writes recordings."""
        return self.folder / "recordings"

    def log(self) -> Iterator[dict[str, Any]]:
        """The lines of the server's log so far, parsed from JSON."""
        with (self.folder / "log").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("{") and line.endswith("}\n"):
                    yield json.loads(line)

    def errors(self) -> list[str]:
        """Errors in the server's log, without mistakes made on purpose. Lines that are no JSON are errors, too."""
        with (self.folder / "log").open(encoding="utf-8") as lines:
            return [line.strip() for line in lines if _is_error(line) and ON_PURPOSE not in line]

    async def scrape(self, client: aiohttp.ClientSession) -> Scrape:
        """The present values of the server's metrics; empty if the server is gone."""
        try:
            async with client.get(f"{self.admin}/metrics") as response:
                return read_metrics(await response.text())
        except aiohttp.ClientError:
            return Scrape(float)

    async def rest(self, client: aiohttp.ClientSession) -> Scrape:
        """Wait until the last call is gone, or a minute, and return the values of the server's metrics."""
        deadline = time.monotonic() + _REST
        while True:
            values = await self.scrape(client)
            gone = not values["mediaserver_sessions"] and not values["mediaserver_connections"]
            if gone or time.monotonic() > deadline:
                return values
            await asyncio.sleep(0.2)

    async def reload(self, over: asyncio.Event, every: float, rng: random.Random) -> None:
        """Reload a changed configuration about every `every` seconds until `over`, sometimes with a mistake."""
        while not await passed(over, rng.uniform(0.5, 1.5) * every):
            wrong = rng.random() < 0.25
            mistake = (
                f"\n[log.{ON_PURPOSE}]\n" if wrong else f"\n[paths.'/new/{rng.random()}']\nhandler = 'silence'\n"
            )
            config = _config(self.folder) + mistake
            await asyncio.to_thread((self.folder / "config.toml").write_text, config, encoding="utf-8")
            self.process.send_signal(signal.SIGHUP)
            self.reloads["with a mistake" if wrong else "good"] += 1

    async def stop(self) -> int | None:
        """Send SIGTERM, and return the server's exit code; None if the server does not end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, _ENDED)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the server's process, so that it does not outlive the test."""
        self.process.kill()
        self.process.wait()


def _config(folder: Path) -> str:
    return CONFIG.replace("RECORDINGS", str(folder / "recordings"))


def _is_error(line: str) -> bool:
    try:
        return json.loads(line).get("level") not in ("debug", "info", "warning")
    except ValueError:
        return bool(line.strip())
