"""The interface of a speech-to-text (STT, ASR) engine, and its result."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Recognition(NamedTuple):
    """The transcript of an utterance. `text` is empty if no words were recognised."""

    text: str
    confidence: float | None = None  # the engine's confidence in the text, 0 to 1; None if not reported


class SttEngine(Protocol):
    """An STT engine. One instance serves all calls at the same time."""

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """Recognise one utterance.

        `audio` yields the utterance while it is spoken: 16-bit little-endian PCM, 8 kHz, mono, in pieces of any
        even number of bytes. `on_partial` is called with the transcript so far, if the engine has partial results.
        `language` is a BCP 47 tag, "" for the configured language. An engine whose model knows only one language
        ignores `language`.

        Raises EngineError if there is no result. This method has no time-out, but can be cancelled. A cancelled
        recognition leaves no task, connection or process behind.
        """

    def preload(self) -> None:
        """Start what the engine needs, so that the first utterance takes no longer than later utterances."""

    @property
    def not_ready_reason(self) -> str:
        """Why the engine is not ready yet after `preload`; "" if it is ready, or has nothing to start."""

    async def close(self) -> None:
        """Stop the engine's processes and connections, if it has any of its own."""


async def send_while_receiving(sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, T]) -> T:
    """Run both coroutines, and return the result of `receiving`, at whose end `sending` is cancelled."""
    task = asyncio.ensure_future(sending)
    try:
        return await receiving
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # waits until `sending` has ended; ignores its errors
