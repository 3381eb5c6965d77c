"""A pool of worker processes for TTS engines, so that synthesis does not slow down the serving process."""

import asyncio
import json
from typing import Any

from mediaserver.errors import EngineError
from mediaserver.speech.engines.worker_process import REQUEST, RESPONSE
from mediaserver.support.processes.child import DEAD, ChildProcess, NoProcessError
from mediaserver.support.processes.pool import ProcessPool

_IDLE = 60.0  # the time in seconds without any job after which all workers but one are stopped
_ATTEMPTS = 2  # the number of worker processes that try a job; the job fails when all of them have died


class WorkerPool:
    """At most `size` worker processes that run `module`, whose `main` calls `worker_process.serve_jobs`.

    If a worker dies during a job, another worker tries the job once more. A worker that takes longer than
    `job_timeout` seconds for a job is killed, together with all processes that it has started.

    A cancelled job that has not begun is dropped. A cancelled job that has begun is finished: only killing the
    worker would end the job, and the start of another worker takes longer than the remainder of the job.
    """

    def __init__(self, module: str, arguments: tuple[str, ...], size: int, job_timeout: float) -> None:
        self._pool = ProcessPool(module, lambda: arguments, size, idle=_IDLE, kept=1, spare_first_core=True)
        self._job_timeout = job_timeout
        self._jobs: set[asyncio.Task[bytes]] = set()

    def preload(self) -> None:
        """Start a worker process ahead of the first job."""
        self._pool.prestart()

    @property
    def not_ready_reason(self) -> str:
        """Why no worker process has become ready yet; "" once a worker process is ready."""
        return self._pool.why_not_ready

    async def close(self) -> None:
        """Cancel all jobs and stop the worker processes."""
        jobs = list(self._jobs)
        for task in jobs:
            task.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._pool.close()

    async def run_job(self, **job: Any) -> bytes:
        """Have a worker do a job, given as JSON values, and return the PCM of its result. Raises EngineError."""
        begun = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._run(json.dumps(job).encode(), begun))
        self._jobs.add(task)
        task.add_done_callback(self._on_done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not begun.is_set():
                task.cancel()
            raise

    def _on_done(self, task: asyncio.Task[bytes]) -> None:
        self._jobs.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved; else asyncio logs it if the caller was cancelled

    async def _run(self, request: bytes, begun: asyncio.Event) -> bytes:
        for _ in range(_ATTEMPTS):
            try:
                async with self._pool.acquire() as worker:
                    begun.set()
                    succeeded, result = await self._exchange(worker, request)
            except NoProcessError as error:
                raise EngineError(str(error)) from error
            except TimeoutError:
                raise EngineError(f"its process took longer than {self._job_timeout:g} s") from None
            except DEAD:
                continue
            if not succeeded:
                raise EngineError(result.decode(errors="replace"))
            return result
        raise EngineError(f"its process died {_ATTEMPTS} times")

    async def _exchange(self, worker: ChildProcess, request: bytes) -> tuple[bool, bytes]:
        """Send a job to a worker; return whether the job succeeded, and its PCM or the text of its error."""
        async with asyncio.timeout(self._job_timeout):
            await worker.send(REQUEST.pack(len(request)) + request)
            succeeded, size = RESPONSE.unpack(await worker.receive(RESPONSE.size))
            return succeeded, await worker.receive(size)
