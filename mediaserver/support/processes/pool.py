"""A pool of child processes that run the same module and are started on demand."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import structlog

from mediaserver.support.processes.child import DEAD, ChildProcess, NoProcessError

_FAILED_STARTS = 2  # failed starts in a row after which the pool starts no process for `_PAUSE` seconds
_PAUSE = 10.0  # seconds for which the pool starts no process after repeated failures
_RETRY = 0.5  # seconds between two attempts of `prestart` to get a child ready

log = structlog.get_logger()


class ProcessPool:
    """At most `size` child processes that run the same module, started when they are needed.

    `kept` children are kept for good. The others end when no caller has used the pool for `idle` seconds. If
    children die before they are ready, the pool pauses before it starts more. With `spare_first_core`, children do
    not run on the first core.
    """

    def __init__(
        self,
        module: str,
        arguments: Callable[[], tuple[str, ...]],
        size: int,
        *,
        idle: float,
        kept: int = 0,
        spare_first_core: bool = False,
    ) -> None:
        self._module, self._arguments, self._spare_first_core = module, arguments, spare_first_core
        self._places = asyncio.Semaphore(size)
        self._idle: list[ChildProcess] = []  # children without work, which are watched in case they die
        self._reaping: set[asyncio.Task[None]] = set()  # tasks that clean up after children that died while idle
        self._idle_seconds, self._kept = idle, kept
        self._users = 0  # number of callers of `acquire` that use a child, or wait for one
        self._failed_starts, self._failed_at = 0, 0.0  # number of failed starts in a row; time of the last one
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._prestarting: asyncio.Task[None] | None = None
        self.why_not_ready = "is starting"  # why no child is ready; "" once a child was ready

    def prestart(self) -> None:
        """Start the `kept` children before they are needed, and return at once.

        A task starts children again and again until one is ready. A call while that task works does nothing.
        """
        if self.why_not_ready and self._prestarting is not None:
            return
        with contextlib.suppress(NoProcessError):  # `acquire` will raise this error to a caller that needs a child
            while len(self._idle) < self._kept:
                self._return_idle(self._start())
        if self.why_not_ready:
            self._prestarting = asyncio.get_running_loop().create_task(self._prestart())

    async def _prestart(self) -> None:
        while self.why_not_ready:
            try:
                async with self.acquire():
                    return
            except NoProcessError as error:
                self.why_not_ready = f"cannot start: {error}"
            except DEAD:
                self.why_not_ready = "cannot start: its process dies before it is ready"
            await asyncio.sleep(_RETRY)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[ChildProcess]:
        """Yield a child that is ready for work, for this caller alone.

        Raises NoProcessError, or one of the errors in `DEAD`, if no child gets ready. If the body of `async with`
        raises an exception or is cancelled, the child is killed, because it may be in the middle of its work.
        """
        self._cancel_idle_timer()
        self._users += 1
        try:
            async with self._places:
                child = await self._ready_child()
                try:
                    yield child
                except BaseException as error:
                    if isinstance(error, DEAD) and not isinstance(error, TimeoutError):
                        log.warning("worker process died", module=self._module, pid=child.pid)
                    await child.kill()
                    raise
                self._return_idle(child)
        finally:
            self._users -= 1
            if not self._users:
                loop = asyncio.get_running_loop()
                self._idle_timer = loop.call_later(self._idle_seconds, self._on_idle_timeout)

    async def close(self) -> None:
        """Stop the task that `prestart` has begun, and end all children that have no work."""
        if self._prestarting is not None:
            self._prestarting.cancel()
            await asyncio.wait((self._prestarting,))
        await self.stop_idle()

    async def stop_idle(self, kept: int = 0) -> None:
        """End all idle children except `kept` of them; `acquire` starts new ones when they are needed."""
        self._cancel_idle_timer()
        idle, self._idle = self._idle[kept:], self._idle[:kept]
        await asyncio.gather(*(child.unwatch().end() for child in idle), *self._reaping)

    async def _ready_child(self) -> ChildProcess:
        child = self._take_idle() or self._start()
        try:
            await child.wait_ready()
        except asyncio.CancelledError:  # the child has no work yet, so the next caller can use it
            self._return_idle(child)
            raise
        except DEAD:
            await self._note_failed_start(child)
            raise EOFError from None
        if self._failed_starts >= _FAILED_STARTS:
            log.info("worker processes recovered", module=self._module)
        if self.why_not_ready and self._kept:
            log.info("worker processes ready", module=self._module)
        self._failed_starts, self.why_not_ready = 0, ""
        return child

    async def _note_failed_start(self, child: ChildProcess) -> None:
        self._failed_starts, self._failed_at = self._failed_starts + 1, time.monotonic()
        if self._failed_starts == _FAILED_STARTS:  # log one line for each series of failed starts
            log.error("worker processes fail to start", module=self._module, retry_s=_PAUSE)
        await child.kill()

    def _start(self) -> ChildProcess:
        if self._failed_starts >= _FAILED_STARTS and time.monotonic() < self._failed_at + _PAUSE:
            raise NoProcessError(f"worker processes fail to start: {self._module}")
        return ChildProcess(self._module, *self._arguments(), spare_first_core=self._spare_first_core)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def _on_idle_timeout(self) -> None:
        self._stopping = asyncio.get_running_loop().create_task(self.stop_idle(self._kept))

    def _return_idle(self, child: ChildProcess) -> None:
        self._idle.append(child)
        child.watch_idle(self._on_idle_death)

    def _take_idle(self) -> ChildProcess | None:
        """Take an idle child that is alive out of the pool; None if there is none."""
        while self._idle:
            child = self._idle.pop().unwatch()
            if child.alive:
                return child
            self._reap(child)
        return None

    def _on_idle_death(self, child: ChildProcess) -> None:
        self._idle.remove(child)
        self._reap(child)

    def _reap(self, child: ChildProcess) -> None:
        """Clean up after a child that died while it was idle. `acquire` starts another when one is needed."""
        if child.ready:
            log.warning("idle worker process died", module=self._module, pid=child.pid)
        work = child.kill() if child.ready else self._note_failed_start(child)
        task = asyncio.get_running_loop().create_task(work)
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)
