"""A real server process, and a peer that receives from it by a real WebSocket."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from mediaserver.support.http_connector import Connector
from tests.server.preloaded import MEDIASERVER, popen
from tests.timing import PATIENCE, eventually


@dataclass
class ServerProcess:
    """`mediaserver serve` on free ports, whose log is read as it comes."""

    process: subprocess.Popen[bytes]
    log_file: Path
    port: int = 0
    admin: str = ""
    ports: dict[str, int] = field(default_factory=dict)  # of AudioSocket, by the path that answers there

    @property
    def log(self) -> list[dict[str, Any]]:
        """All log lines so far."""
        text = self.log_file.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == name]

    def wait_for_event(self, name: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The first log line of that event; fails where it does not come."""
        deadline = time.monotonic() + patience
        while not self.events(name):
            assert self.process.poll() is None, self.log_file.read_text()
            assert time.monotonic() < deadline, f"no {name!r} in the log: {self.log_file.read_text()}"
            time.sleep(0.01)
        return self.events(name)[0]

    def url(self, path: str, scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def admin_url(self, path: str) -> str:
        return f"http://{self.admin}{path}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the server, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


FREE_PORTS = {"MEDIASERVER_SERVER__PORT": "0", "MEDIASERVER_ADMIN__PORT": "0"}


def launch(config: Path, log_file: Path, **environment: str) -> ServerProcess:
    """Start a server, without waiting until it listens."""
    return start([*MEDIASERVER, "serve", "--config", str(config)], log_file, None, **environment)


def start(command: Sequence[str], log_file: Path, cwd: Path | None = None, **environment: str) -> ServerProcess:
    """Start a server by a command, without waiting until it listens."""
    if "PYTHONPATH" in environment:
        environment["PYTHONPATH"] = os.pathsep.join((environment["PYTHONPATH"], os.environ["PYTHONPATH"]))
    with log_file.open("wb") as log:
        process = popen(command, stderr=log, stdout=subprocess.DEVNULL, cwd=cwd, env=os.environ | environment)
    return ServerProcess(process, log_file)


@contextlib.contextmanager
def serving(config: Path, **environment: str) -> Iterator[ServerProcess]:
    """A server that listens; it is stopped in the end, whatever happens."""
    with listening(launch(config, config.with_suffix(".log"), **environment)) as server:
        yield server


@contextlib.contextmanager
def listening(server: ServerProcess) -> Iterator[ServerProcess]:
    """Wait until a server that was started listens, and stop it in the end."""
    try:
        told = server.wait_for_event("listening")
        server.port, server.admin = told["port"], told["admin"]
        server.ports = {path: int(port) for port, path in told.get("audiosocket", {}).items()}
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def write_config(directory: Path, paths: str, name: str = "config.toml", **server: Any) -> Path:
    """Write a configuration with free ports, with `prompts/` beside it."""
    extra = "\n".join(f"{key} = {json.dumps(value)}" for key, value in server.items())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prompts").mkdir(exist_ok=True)
    config = directory / name
    config.write_text(f'[server]\nhost = "127.0.0.1"\nport = 0\n{extra}\n[admin]\nport = 0\n{paths}\n')
    return config


def _free_port(stack: contextlib.ExitStack) -> int:
    """A free port outside the range from which the system chooses ports by itself."""
    while True:
        with contextlib.suppress(OSError):
            port = random.randrange(10_000, 32_768)  # not seeded: tests in other processes look for some as well
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return port


def audiosocket_ports(*paths: str, **settings: Any) -> str:
    """A table of AudioSocket ports that are free now, one for each path."""
    with contextlib.ExitStack() as stack:
        numbers = [_free_port(stack) for _ in paths]
    ports = ", ".join(f"{number} = {json.dumps(path)}" for number, path in zip(numbers, paths, strict=True))
    extra = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    return f'[audiosocket]\nhost = "127.0.0.1"\nports = {{ {ports} }}\n{extra}\n'


@dataclass
class Heard:
    """What a peer received: every binary message with its time of arrival, and the close code."""

    messages: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    close_code: int | None = None
    upgraded: float = 0.0


def client_session() -> aiohttp.ClientSession:
    """An HTTP session whose sockets are closed when it is closed."""
    return aiohttp.ClientSession(connector=Connector())


@contextlib.asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with client_session() as client, client.ws_connect(url, **options) as websocket:
        yield websocket


async def listen(
    url: str, frames: int | None = None, say_first: bytes | None = None, heard: Heard | None = None
) -> Heard:
    """Receive until the server closes, or for so many frames, into `heard`."""
    heard = Heard() if heard is None else heard
    async with connected(url) as websocket:
        heard.upgraded = time.monotonic()
        if say_first is not None:
            await websocket.send_bytes(say_first)
        async for message in websocket:
            assert message.type == aiohttp.WSMsgType.BINARY
            heard.messages.append(message.data)
            heard.times.append(time.monotonic())
            if len(heard.messages) == frames:
                break
        heard.close_code = websocket.close_code
    return heard


async def while_listening(url: str, count: int = 1) -> list[asyncio.Task[Heard]]:
    """So many peers that receive until the server closes, and have received something by now."""
    heard = [Heard() for _ in range(count)]
    tasks = [asyncio.create_task(listen(url, heard=each)) for each in heard]
    await eventually(lambda: all(each.messages for each in heard) or any(task.done() for task in tasks))
    return tasks


async def get(url: str, **options: Any) -> tuple[int, str]:
    """Status and text of a plain request."""
    async with client_session() as client, client.get(url, **options) as response:
        return response.status, await response.text()


async def until_nobody_plays(server: ServerProcess, **options: Any) -> None:
    """Wait until all streams are over on the server: it may notice a hang-up later than the peer that hung up."""
    async with asyncio.timeout(PATIENCE):
        while json.loads((await get(server.admin_url("/v1/streams"), **options))[1])["streams"]:
            await asyncio.sleep(0.01)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def upgrade_request(path: str) -> bytes:
    """The request of an upgrade as plain bytes, for peers without a WebSocket client."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n{fields}\r\n".encode()


async def refusal(url: str) -> tuple[int, str]:
    """Status and text of a refused upgrade."""
    return await asyncio.wait_for(get(url.replace("ws://", "http://"), headers=UPGRADE), PATIENCE)
