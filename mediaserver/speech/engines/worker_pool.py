"""Sentences made by child processes of ours: what the engines that do so have in common."""

import asyncio
import json
from typing import Any

from mediaserver.errors import EngineError
from mediaserver.speech.engines.worker_process import ANSWER, REQUEST
from mediaserver.support.processes import DEAD, Child, NoProcessError, Pool

_IDLE = 60.0  # seconds after which children that nobody needs are let go, but for one


class Workshop:
    """At most `size` children that run a module (whose `main` calls `worker_process.serve`). One is kept.

    Work in which a child dies is tried once more with another. What nobody waits for any longer is not begun; what
    is begun is finished, as it takes longer to start another child. One that takes longer than `longest` seconds
    for it is killed, with all that it has started.
    """

    def __init__(self, module: str, arguments: tuple[str, ...], size: int, longest: float) -> None:
        self._pool = Pool(module, lambda: arguments, size, idle=_IDLE, kept=1, aside=True)
        self._longest = longest
        self._working: set[asyncio.Task[bytes]] = set()

    def warm(self) -> None:
        """Have a child be ready."""
        self._pool.warm()

    @property
    def why_not_ready(self) -> str:
        """Why there is no child yet that can be asked, "" where there is one, or was."""
        return self._pool.why_not_ready

    async def close(self) -> None:
        """Let the children go, and what they are at."""
        working = list(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await self._pool.close()

    async def make(self, **wanted: Any) -> bytes:
        """What a child makes of it; EngineError where there is nothing."""
        begun = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._make(json.dumps(wanted).encode(), begun))
        self._working.add(task)
        task.add_done_callback(self._done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not begun.is_set():
                task.cancel()
            raise

    def _done(self, task: asyncio.Task[bytes]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    async def _make(self, request: bytes, begun: asyncio.Event) -> bytes:
        for _ in range(2):
            try:
                async with self._pool.child() as child:
                    begun.set()
                    good, answer = await self._ask(child, request)
            except NoProcessError as error:
                raise EngineError(str(error)) from error
            except TimeoutError:
                raise EngineError(f"its process took longer than {self._longest:g} s") from None
            except DEAD:
                continue
            if not good:
                raise EngineError(answer.decode(errors="replace"))
            return answer
        raise EngineError("its process died of it")

    async def _ask(self, child: Child, request: bytes) -> tuple[bool, bytes]:
        async with asyncio.timeout(self._longest):
            await child.send(REQUEST.pack(len(request)) + request)
            good, size = ANSWER.unpack(await child.receive(ANSWER.size))
            return good, await child.receive(size)
