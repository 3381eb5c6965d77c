"""Sound to text: what an engine that recognises is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Recognition(NamedTuple):
    """The words of an utterance; none where there were none."""

    text: str
    confidence: float | None = None  # 0 to 1, where the engine tells


class Recogniser(Protocol):
    """An engine that recognises. One serves all streams at once."""

    async def recognise(
        self, audio: AsyncIterator[bytes], partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """The words of one utterance. `audio` is its sound as it comes, and ends with it: 16-bit little-endian PCM
        at 8 kHz in pieces of any even length. `partial` is told what it seems to be so far, where the engine can.
        `language` is a BCP 47 tag, "" for the configured one; an engine whose model has but one pays no heed.

        EngineError where there is no result. It has no time-out of its own; cancelled, it leaves nothing behind.
        """

    def warm(self) -> None:
        """Be ready: the first utterance is to be recognised as soon as any other."""

    @property
    def why_not_ready(self) -> str:
        """Why it is not, once it was told to be; "" where it is, as far as is known without asking it."""

    async def close(self) -> None:
        """Let go of what it runs on."""


async def while_telling(telling: Coroutine[Any, Any, None], hearing: Coroutine[Any, Any, T]) -> T:
    """What is heard from an engine that is told something at the same time, and no longer than that."""
    task = asyncio.ensure_future(telling)
    try:
        return await hearing
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # where telling fails, hearing does
