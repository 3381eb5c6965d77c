"""One TTS engine with the queue of the sentences that wait for it, and the time-outs of a sentence."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from mediaserver.errors import EngineError, RejectedError
from mediaserver.speech.engines.failover import Attempt
from mediaserver.speech.tts.interface import TtsEngine, Voice
from mediaserver.speech.tts.synthesis_queue import Origin, QueueTicket, SynthesisQueue


class SynthesisJob:
    """The synthesis of one sentence, which may wait in the queues of several engines, one after another."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._place: tuple[SynthesisQueue, QueueTicket] | None = None

    def new_ticket(self, queue: SynthesisQueue) -> QueueTicket:
        """Create the sentence's ticket for the queue of the engine that is to speak it now."""
        ticket = QueueTicket(self._origin)
        self._place = queue, ticket
        return ticket

    def promote(self, origin: Origin) -> None:
        """Treat the sentence as trusted from now on, if a text of the trusted `origin` also needs it."""
        if self._place is not None:
            queue, ticket = self._place
            queue.promote(ticket, origin)
        if self._origin.untrusted and not origin.untrusted:
            self._origin = origin


class Synthesiser:
    """Has one TTS engine speak sentences: at most `concurrency` at a time, or any number if `concurrency` is 0."""

    def __init__(self, engine: TtsEngine, concurrency: int = 0) -> None:
        self.engine = engine
        self._queue = SynthesisQueue(concurrency)

    async def synthesise(
        self, text: str, voice: Voice, job: SynthesisJob, attempt: Attempt
    ) -> AsyncGenerator[bytes, None]:
        """Yield the speech of one sentence, piece by piece: 16-bit PCM, 8 kHz, mono.

        Raises EngineError if the engine fails, or gives no sound within the time that `attempt` allows. Raises
        RejectedError if other sentences keep the engine busy for all of that time.
        """
        received = False
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(attempt.seconds_left):
                    await stack.enter_async_context(self._queue.slot(job.new_ticket(self._queue)))
            except TimeoutError:
                raise RejectedError(
                    f"no sound within {attempt.allotted}: the engine is busy with other texts"
                ) from None
            # The time-out of the first audio includes the wait in the queue, so it is not begun anew here.
            audio = await stack.enter_async_context(contextlib.aclosing(self.engine.synthesise(text, voice)))
            while (pcm := await _next(audio, attempt)) is not None:
                if pcm:
                    received = True
                    attempt.note_progress()
                    yield pcm
        if not received:
            raise EngineError("the engine gave no sound")


async def _next(audio: AsyncGenerator[bytes, None], attempt: Attempt) -> bytes | None:
    """The next piece of an engine's PCM, None at the end. Raises EngineError if no piece comes in time."""
    try:
        async with asyncio.timeout(attempt.seconds_left):
            return await anext(audio, None)
    except TimeoutError:
        raise EngineError(f"no sound within {attempt.allotted}") from None
