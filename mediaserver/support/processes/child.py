"""Starts and ends a child process, `python -m MODULE`, and exchanges work with it over a socket."""

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
    # Settings of glibc, in bytes, with which it keeps freed memory for later allocations. Without them, the kernel
    # would clear new pages each time, which costs a quarter of a decoder's work. The value of
    # MALLOC_MMAP_THRESHOLD_ is the largest that glibc accepts.
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    # Without this setting, onnxruntime, which runs TTS models, would store usage data, and send it to its makers.
    "ORT_DISABLE_TELEMETRY": "1",
}
_NICENESS = 10  # niceness of child processes: a lower priority than the server's, whose ticker must run on time
# The errors that are raised when the socket of a dead child process is used.
DEAD = (EOFError, OSError)
_START = 60.0  # seconds that a child process may take to be ready


class NoProcessError(MediaServerError):
    """No child process can be started, for the reason in the message."""


class ChildProcess:
    """One child process, `python -m MODULE ARGUMENTS`, whose standard input is a socket to the server.

    The socket is used in both directions. The child ends by itself when the socket is closed, so it never outlives
    the server, however the server ends. The child calls `child_main.report_ready` when it can take work. With
    `spare_first_core`, the child does not run on the first core, if there are several.
    """

    def __init__(self, module: str, *arguments: str, spare_first_core: bool = False) -> None:
        self.ready = False  # whether the child has reported that it is ready
        self._awaited_at = 0.0  # monotonic time in seconds of the first call of `wait_ready`; 0 before it
        # -P: Python must not import modules from the working directory in place of ours.
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
                    # Popen is used, not asyncio: uvloop would fork, and copying the page tables takes 10 ms.
                    self._process = Popen(  # noqa: S603
                        command,
                        stdin=theirs.fileno(),
                        stdout=DEVNULL,
                        stderr=self._stderr.writer,
                        env=_environment(),
                        process_group=0,  # a new process group: `kill` then reaches programs of the child, too
                    )
            except OSError as error:  # the system has too many open files or processes, or too little memory
                raise NoProcessError(f"no process can be started: {error_text(error)}") from error
            undone.pop_all()
        self._stderr.started(self._process.pid)
        _lower_priority(self._process.pid, spare_first_core)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs, as far as the kernel has reported."""
        return self._process.poll() is None

    @property
    def killed_by(self) -> int:
        """The number of the signal that ended the child; 0 if the child runs, or ended in another way."""
        return max(0, -(self._process.poll() or 0))

    async def send(self, data: bytes) -> None:
        """Send bytes to the child, and wait until all are written to the socket."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self, size: int) -> bytes:
        """Read exactly `size` bytes from the child; EOFError if the child is dead."""
        loop, data, have = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(data)
        while have < size:
            received = await loop.sock_recv_into(self._socket, view[have:])
            if not received:
                raise EOFError
            have += received
        return bytes(data)

    async def wait_ready(self) -> None:
        """Wait until the child is ready; EOFError or OSError if it dies before that, or takes too long.

        A caller may cancel the wait, and call the method again.
        """
        if not self.ready:
            self._awaited_at = self._awaited_at or time.monotonic()
            async with asyncio.timeout(max(1.0, self._awaited_at + _START - time.monotonic())):
                await self.receive(len(READY))
            self.ready = True

    def watch_idle(self, on_death: Callable[["ChildProcess"], None]) -> None:
        """Call `on_death` if the child dies while it has no work; `unwatch` stops the watch."""
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable, on_death)

    def unwatch(self) -> "ChildProcess":
        """End `watch_idle`, and return this object. While the child works, socket errors show that it has died."""
        asyncio.get_running_loop().remove_reader(self._socket)
        return self

    def _on_readable(self, on_death: Callable[["ChildProcess"], None]) -> None:
        """Handle data from a child that has no work: the child is ready, is dead, or breaks the protocol."""
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
        """Kill the child at once, together with all programs that it has started."""
        if self._process.returncode is None:  # a dead child's process group exists until the child is waited for
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._wait_exit()

    async def end(self) -> None:
        """Close the child's socket, so that the child ends, and wait for its end. An unready child is killed."""
        await (self._wait_exit() if self.ready else self.kill())

    async def _wait_exit(self) -> None:
        self._socket.close()
        await asyncio.to_thread(self._process.wait)
        self._stderr.close()


def _lower_priority(process: int, spare_first_core: bool) -> None:
    """Give a child process a lower priority than the server, right after the child's start.

    Niceness is not enough for children that work during calls. A packet from the network wakes the server, but the
    kernel does not take the core from the child at once: frames would be late by up to a tick of the kernel, 4 ms.
    With `spare_first_core`, the child may therefore not run on the first core.
    """
    with contextlib.suppress(OSError):  # a sandbox may forbid these system calls
        os.setpriority(os.PRIO_PROCESS, process, _NICENESS)
        if spare_first_core and hasattr(os, "sched_setaffinity"):
            cores = os.sched_getaffinity(0)
            os.sched_setaffinity(process, cores - {min(cores)} or cores)


def _environment() -> dict[str, str]:
    """A child's environment, in which it imports the same `mediaserver` package as the server does."""
    folder, path = str(Path(mediaserver.__file__).parents[1]), os.environ.get("PYTHONPATH")
    # An installed package needs no PYTHONPATH, whose folders would come before the standard library.
    if folder == sysconfig.get_path("purelib"):
        return os.environ | ENVIRONMENT
    return os.environ | ENVIRONMENT | {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else folder}
