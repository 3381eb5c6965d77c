"""Processes of our own for what is heavy: a thread that held the interpreter lock would be heard on every call.

Not the standard library's process pool: when a worker of it dies, its neighbours' work is lost with it, and
the pool may hang its own process at exit; and what it is answered it unpickles in one go.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import DEVNULL, Popen

import structlog

import mediaserver
from mediaserver.errors import MediaServerError, plainly
from mediaserver.support.child_output import Printed
from mediaserver.support.child_process import READY

ENVIRONMENT = {
    # For a child's C library (glibc's): keep freed memory for what comes next. To have the kernel clear new pages
    # each time costs a quarter of a decoder's work. In bytes; it takes no more for the second.
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    # onnxruntime, which speaks, would keep a database of its use in the home directory, and send it to its makers.
    "ORT_DISABLE_TELEMETRY": "1",
}
_NICENESS = 10  # below ours: the ticker must run on time
# What the socket to a dead process raises.
DEAD = (EOFError, OSError)
_START = 60.0  # seconds that a process may take to be ready
_DEATHS = 2  # before they were ready, in a row, after which no more are started
_PAUSE = 10.0  # seconds, until another is tried
_AGAIN = 0.5  # seconds between looks whether one that is to be warm can be had

log = structlog.get_logger()


class NoProcessError(MediaServerError):
    """There is no process to be had."""


class Child:
    """One process, `python -m MODULE ARGUMENTS`, whose standard input is a socket to us, for both directions.

    It ends by itself when that is closed, so it never outlives us, however we end. Its module says `child.ready`.
    One that is `aside` leaves the first core to us, where there are several.
    """

    def __init__(self, module: str, *arguments: str, aside: bool = False) -> None:
        self.ready = False  # it has said so
        self._awaited = 0.0  # from when on, once it is
        # -P: whatever lies in the working directory is no module of ours.
        command = (sys.executable, "-P", "-m", module, *arguments)
        with contextlib.ExitStack() as undone:
            self._line, theirs = socket.socketpair()
            undone.callback(self._line.close)
            self._line.setblocking(False)
            try:
                with theirs:
                    self._printed = Printed(module)
                    undone.callback(self._printed.close)
                    undone.callback(self._printed.started, 0)
                    # Not by the loop: uvloop forks, and to copy what pages a server has takes it ten milliseconds.
                    self._process = Popen(  # noqa: S603
                        command,
                        stdin=theirs.fileno(),
                        stdout=DEVNULL,
                        stderr=self._printed.writer,
                        env=_environment(),
                        process_group=0,  # its own, so that a program of its can be killed with it
                    )
            except OSError as error:  # too many files or processes, or no memory
                raise NoProcessError(f"no process can be started: {plainly(error)}") from error
            undone.pop_all()
        self._printed.started(self._process.pid)
        _give_way(self._process.pid, aside)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it is, as far as is known."""
        return self._process.poll() is None

    async def send(self, data: bytes) -> None:
        """Write to it, as fast as it reads."""
        await asyncio.get_running_loop().sock_sendall(self._line, data)

    async def receive(self, size: int) -> bytes:
        """Exactly so many bytes; EOFError where it is dead."""
        loop, data, have = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(data)
        while have < size:
            received = await loop.sock_recv_into(self._line, view[have:])
            if not received:
                raise EOFError
            have += received
        return bytes(data)

    async def wait(self) -> None:
        """Until it is ready; EOFError or OSError where it dies before, or takes too long. It may be cancelled."""
        if not self.ready:
            self._awaited = self._awaited or time.monotonic()
            async with asyncio.timeout(max(1.0, self._awaited + _START - time.monotonic())):
                await self.receive(len(READY))
            self.ready = True

    def watch(self, died: Callable[["Child"], None]) -> None:
        """Tell `died` when it dies, until it is used again."""
        asyncio.get_running_loop().add_reader(self._line, self._look, died)

    def use(self) -> "Child":
        """Watch it no more: who uses it finds out."""
        asyncio.get_running_loop().remove_reader(self._line)
        return self

    def _look(self, died: Callable[["Child"], None]) -> None:
        """Nothing was asked of it: it has become ready, or is dead, or as good as that."""
        try:
            data = self._line.recv(len(READY))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data == READY and not self.ready:
            self.ready = True
        else:
            died(self.use())

    async def kill(self) -> None:
        """End it at once, with all that it has started."""
        if self._process.returncode is None:  # not waited for yet, so the group is there even if it died
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._over()

    async def end(self) -> None:
        """Let it end, and wait until it has; one that is not ready yet has nothing to finish."""
        await (self._over() if self.ready else self.kill())

    async def _over(self) -> None:
        self._line.close()
        await asyncio.to_thread(self._process.wait)
        self._printed.close()


class Pool:
    """At most `size` children of one kind, started when needed. `kept` of them stay for ever, the others for as
    long as somebody needs one, and for `idle` seconds after. Where they die before they are ready, there is a
    pause before more are started. `aside`: as of a child.
    """

    def __init__(
        self,
        module: str,
        arguments: Callable[[], tuple[str, ...]],
        size: int,
        *,
        idle: float,
        kept: int = 0,
        aside: bool = False,
    ) -> None:
        self._module, self._arguments, self._aside = module, arguments, aside
        self._places = asyncio.Semaphore(size)
        self._idle: list[Child] = []  # each is watched
        self._dead: set[asyncio.Task[None]] = set()  # until nothing is left of those that died idle
        self._seconds, self._kept = idle, kept
        self._asked = 0  # users of a child, and those who wait for one
        self._deaths, self._died = 0, 0.0  # in a row, of children that were not ready yet, and when the last was
        self._letting_go: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self.why_not_ready = "is starting"  # until one was ready for the first time

    def warm(self) -> None:
        """Start those that are kept, ahead of need, and try again until one is ready. Who needs one is told."""
        with contextlib.suppress(NoProcessError):
            while len(self._idle) < self._kept:
                self._put_back(self._start())
        if self.why_not_ready and self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm())

    async def _warm(self) -> None:
        while self.why_not_ready:
            try:
                async with self.child():
                    return
            except NoProcessError as error:
                self.why_not_ready = f"cannot start: {error}"
            except DEAD:
                self.why_not_ready = "cannot start: its process dies before it is ready"
            await asyncio.sleep(_AGAIN)

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """A child for oneself, ready. An exception, or being cancelled, leaves it killed: it may be amid work."""
        self._stay()
        self._asked += 1
        try:
            async with self._places:
                child = await self._ready()
                try:
                    yield child
                except BaseException as error:
                    if isinstance(error, DEAD) and not isinstance(error, TimeoutError):
                        log.warning("a process died at its work", module=self._module, pid=child.pid)
                    await child.kill()
                    raise
                self._put_back(child)
        finally:
            self._asked -= 1
            if not self._asked:
                self._letting_go = asyncio.get_running_loop().call_later(self._seconds, self._let_go)

    async def close(self) -> None:
        """Let all children go that are not at work."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait((self._warming,))
        await self.rest()

    async def rest(self, kept: int = 0) -> None:
        """Let idle children go, but for so many; the next use starts a new one."""
        self._stay()
        idle, self._idle = self._idle[kept:], self._idle[:kept]
        await asyncio.gather(*(child.use().end() for child in idle), *self._dead)

    async def _ready(self) -> Child:
        child = self._rested() or self._start()
        try:
            await child.wait()
        except asyncio.CancelledError:  # it is not amid anything
            self._put_back(child)
            raise
        except DEAD:
            await self._note_death(child)
            raise EOFError from None
        if self._deaths >= _DEATHS:
            log.info("processes start again", module=self._module)
        if self.why_not_ready and self._kept:
            log.info("processes are ready", module=self._module)
        self._deaths, self.why_not_ready = 0, ""
        return child

    async def _note_death(self, child: Child) -> None:
        self._deaths, self._died = self._deaths + 1, time.monotonic()
        if self._deaths == _DEATHS:  # once, however long that lasts
            log.error("processes die before they are ready", module=self._module, retry_s=_PAUSE)
        await child.kill()

    def _start(self) -> Child:
        if self._deaths >= _DEATHS and time.monotonic() < self._died + _PAUSE:
            raise NoProcessError(f"processes die before they are ready: {self._module}")
        return Child(self._module, *self._arguments(), aside=self._aside)

    def _stay(self) -> None:
        if self._letting_go is not None:
            self._letting_go.cancel()

    def _let_go(self) -> None:
        self._resting = asyncio.get_running_loop().create_task(self.rest(self._kept))

    def _put_back(self, child: Child) -> None:
        self._idle.append(child)
        child.watch(self._on_death)

    def _rested(self) -> Child | None:
        """A child that is idle, and alive as far as is known."""
        while self._idle:
            child = self._idle.pop().use()
            if child.alive:
                return child
            self._bury(child)
        return None

    def _on_death(self, child: Child) -> None:
        self._idle.remove(child)
        self._bury(child)

    def _bury(self, child: Child) -> None:
        """It died while it was idle. Another one is started when one is needed."""
        if child.ready:
            log.warning("a process died while it was idle", module=self._module, pid=child.pid)
        burying = asyncio.get_running_loop().create_task(child.kill() if child.ready else self._note_death(child))
        self._dead.add(burying)
        burying.add_done_callback(self._dead.discard)


def _give_way(process: int, aside: bool) -> None:
    """Have a process leave us the time we need, from its first import on.

    Being nice is not enough for who works while calls go on: what comes from the network wakes us without taking
    the core from who has it, and then frames are up to a tick of the kernel's late, 4 ms.
    """
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.setpriority(os.PRIO_PROCESS, process, _NICENESS)
        if aside and hasattr(os, "sched_setaffinity"):
            cores = os.sched_getaffinity(0)
            os.sched_setaffinity(process, cores - {min(cores)} or cores)


def _environment() -> dict[str, str]:
    """A child's: it imports the same package as we do, be that installed or, in development, found elsewhere."""
    folder, path = str(Path(mediaserver.__file__).parents[1]), os.environ.get("PYTHONPATH")
    if folder == sysconfig.get_path("purelib"):  # else it would come before Python's own
        return os.environ | ENVIRONMENT
    return os.environ | ENVIRONMENT | {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else folder}
