"""Worker processes that decode: a thread that held the interpreter lock would be heard on every call."""

import asyncio
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mediaserver.errors import PromptError
from mediaserver.playout.decode import Decoded, decode_file

_NICENESS = 10  # below the ticker's process, which must run on time


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the serving process's to answer
    os.nice(_NICENESS)


class DecodePool:
    """Decodes files in other processes, as many at once as there are cores. Workers start when first needed."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)

    async def decode(self, path: Path) -> Decoded:
        """Decode one file; PromptError where it cannot be played, or where it kills its worker."""
        async with self._slots:
            for _ in range(2):  # a worker's death fails whatever its neighbours were at: they try once more
                try:
                    return await asyncio.wrap_future(self._workers().submit(decode_file, path))
                except BrokenProcessPool:
                    self.rest()
            raise PromptError("cannot be decoded: the decoder died of it")

    def rest(self) -> None:
        """Let the workers go; the next file starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would carry the loop and its sockets along
            self._pool = ProcessPoolExecutor(os.cpu_count(), context, initializer=_start_worker)
        return self._pool
