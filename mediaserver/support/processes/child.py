"""One child process, `python -m MODULE`, and the socket on which it is sent work."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen

import mediaserver
from mediaserver.errors import MediaServerError, error_text
from mediaserver.support.processes.child_main import READY
from mediaserver.support.processes.child_stderr import StderrReader

ENVIRONMENT = {
    # glibc: keep freed memory for later allocations. Having the kernel clear new pages each time costs a quarter
    # of a decoder's work. The values are bytes; glibc allows no more for the second.
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    # onnxruntime, which runs TTS models, would keep usage data in the home directory, and send it to its makers.
    "ORT_DISABLE_TELEMETRY": "1",
}
_NICENESS = 10  # lower priority than the server: the ticker must run on time
# The errors that the socket to a dead process raises.
DEAD = (EOFError, OSError)
_START = 60.0  # seconds that a process may take to be ready


class NoProcessError(MediaServerError):
    """No process can be started."""


class ChildProcess:
    """One process, `python -m MODULE ARGUMENTS`. Its standard input is a socket to us, used in both directions.

    It ends by itself when the socket is closed, so it never outlives the server, however the server ends. Its
    module calls `child_main.report_ready` when it can be sent work. With `spare_first_core` it leaves the first
    core to the server, where there are several.
    """

    def __init__(self, module: str, *arguments: str, spare_first_core: bool = False) -> None:
        self.ready = False  # the child has reported that it is ready
        self._awaited_at = 0.0  # when `wait_ready` was first called
        # -P: modules in the working directory must not replace ours.
        command = (sys.executable, "-P", "-m", module, *arguments)
        with contextlib.ExitStack() as undone:
            self._socket, theirs = socket.socketpair()
            undone.callback(self._socket.close)
            self._socket.setblocking(False)
            try:
                with theirs:
                    self._stderr = StderrReader(module)
                    undone.callback(self._stderr.close)
                    undone.callback(self._stderr.started, 0)
                    # Popen, not asyncio: uvloop forks, and copying the server's page tables takes 10 ms.
                    self._process = Popen(  # noqa: S603
                        command,
                        stdin=theirs.fileno(),
                        stdout=DEVNULL,
                        stderr=self._stderr.writer,
                        env=_environment(),
                        process_group=0,  # a group of its own: programs that the child starts are killed with it
                    )
            except OSError as error:  # too many files or processes, or no memory
                raise NoProcessError(f"no process can be started: {error_text(error)}") from error
            undone.pop_all()
        self._stderr.started(self._process.pid)
        _lower_priority(self._process.pid, spare_first_core)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as the kernel has told."""
        return self._process.poll() is None

    @property
    def killed_by(self) -> int:
        """The number of the signal that ended the process; 0 where it runs, or ended in another way."""
        return max(0, -(self._process.poll() or 0))

    async def send(self, data: bytes) -> None:
        """Write to the child, as fast as it reads."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self, size: int) -> bytes:
        """Read exactly `size` bytes; EOFError where the process is dead."""
        loop, data, have = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(data)
        while have < size:
            received = await loop.sock_recv_into(self._socket, view[have:])
            if not received:
                raise EOFError
            have += received
        return bytes(data)

    async def wait_ready(self) -> None:
        """Wait until the child is ready; EOFError or OSError where it dies before that, or takes too long.

        The wait may be cancelled, and begun again.
        """
        if not self.ready:
            self._awaited_at = self._awaited_at or time.monotonic()
            async with asyncio.timeout(max(1.0, self._awaited_at + _START - time.monotonic())):
                await self.receive(len(READY))
            self.ready = True

    def watch_idle(self, on_death: Callable[["ChildProcess"], None]) -> None:
        """Call `on_death` when the child dies while it has no work, until `unwatch`."""
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable, on_death)

    def unwatch(self) -> "ChildProcess":
        """End `watch_idle`: a caller that sends work learns of the child's death from the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        return self

    def _on_readable(self, on_death: Callable[["ChildProcess"], None]) -> None:
        """The socket of a child without work is readable: the child is ready, is dead, or breaks the protocol."""
        try:
            data = self._socket.recv(len(READY))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data == READY and not self.ready:
            self.ready = True
        else:
            on_death(self.unwatch())

    async def kill(self) -> None:
        """Kill the child at once, with all programs that it has started."""
        if self._process.returncode is None:  # not waited for yet, so its group exists even if it is dead
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._wait_exit()

    async def end(self) -> None:
        """Let the child finish, and wait for its exit. A child that is not ready has no work, and is killed."""
        await (self._wait_exit() if self.ready else self.kill())

    async def _wait_exit(self) -> None:
        self._socket.close()
        await asyncio.to_thread(self._process.wait)
        self._stderr.close()


def _lower_priority(process: int, spare_first_core: bool) -> None:
    """Give the server precedence over a child, from the child's first import on.

    Niceness is not enough for work during calls: a packet from the network wakes the server, but does not take the
    core from the child at once, and frames would be late by up to a tick of the kernel, 4 ms. So with
    `spare_first_core` the child may not run on the first core.
    """
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.setpriority(os.PRIO_PROCESS, process, _NICENESS)
        if spare_first_core and hasattr(os, "sched_setaffinity"):
            cores = os.sched_getaffinity(0)
            os.sched_setaffinity(process, cores - {min(cores)} or cores)


def _environment() -> dict[str, str]:
    """A child's environment, in which it imports the same package as we do, installed or from a clone."""
    folder, path = str(Path(mediaserver.__file__).parents[1]), os.environ.get("PYTHONPATH")
    if folder == sysconfig.get_path("purelib"):  # PYTHONPATH would put it before the standard library
        return os.environ | ENVIRONMENT
    return os.environ | ENVIRONMENT | {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else folder}
