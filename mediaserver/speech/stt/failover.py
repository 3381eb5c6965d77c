"""Failover of speech recognition (STT): if one engine fails, the next engine recognises the utterance."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from mediaserver.errors import EngineError, RejectedError
from mediaserver.speech.engines.failover import Attempt, Failover, is_ready
from mediaserver.speech.stt.interface import Recognition, SttEngine


class FailoverStt:
    """Recognises each utterance by the first of several STT engines that succeeds.

    After a failure, the next engine gets the utterance from its beginning, which is kept in memory, and then the
    rest as the caller speaks it. The engines share the `timeout` seconds after the utterance's end. The last
    engine has all of the remaining time.

    `find_problem` returns why an engine cannot recognise a language, or "". Such an engine is left out.
    """

    def __init__(
        self,
        engines: Mapping[str, SttEngine],
        failover: Failover,
        timeout: float,
        find_problem: Callable[[str, str], str],
    ) -> None:
        self._engines, self._failover, self._timeout = engines, failover, timeout
        self._find_problem = find_problem

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """Recognise one utterance. After a failure, partial results begin anew with those of the next engine."""
        several = len(self._engines) > 1
        utterance = _KeptAudio(audio, keep=several)
        attempts = self._failover.attempts(
            tuple(self._engines), self._timeout, lambda engine: is_ready(self._engines[engine])
        )
        attempts.suspend_deadline()
        try:
            for attempt in attempts:
                with attempt:
                    if several and (why := self._find_problem(attempt.engine, language)):
                        raise RejectedError(why)
                    return await self._recognise(attempt, utterance, on_partial, language)
            raise attempts.failure()
        finally:
            utterance.close()

    async def _recognise(
        self, attempt: Attempt, utterance: "_KeptAudio", on_partial: Callable[[str], None], language: str
    ) -> Recognition:
        """Recognise an utterance by one engine, within its share of the time-out after the utterance's end."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:

                def limit_time() -> None:
                    limit.reschedule(loop.time() + attempt.seconds_left)

                def on_end() -> None:
                    attempt.begin_timeout()
                    limit_time()

                if utterance.ended:
                    limit_time()
                async with contextlib.aclosing(utterance.replay(on_end)) as audio:
                    return await self._engines[attempt.engine].recognise(audio, on_partial, language)
        except TimeoutError:
            raise EngineError(f"no words within {attempt.allotted} of the end") from None

    def preload(self) -> None:
        """Start the engines' processes, so that the first utterance takes no longer than later utterances."""
        for engine in self._engines.values():
            engine.preload()

    @property
    def not_ready_reason(self) -> str:
        """Why no engine is ready yet; "" once one engine is ready."""
        reasons = [f"{name} {engine.not_ready_reason}" for name, engine in self._engines.items()]
        ready = any(not engine.not_ready_reason for engine in self._engines.values())
        return "" if ready else ", ".join(reasons)

    async def close(self) -> None:
        """Do nothing. Other recognisers may share these engines, so `SpeechService` closes them."""


class _KeptAudio:
    """The audio of one utterance. It is read once, as it arrives, and can be replayed if `keep` is set."""

    def __init__(self, audio: AsyncIterator[bytes], keep: bool) -> None:
        self._audio, self._keep = audio, keep
        self._pieces: list[bytes] = []
        # The task that reads the next piece of audio; None between two pieces, and always None if no audio is
        # kept.
        self._reading: asyncio.Task[bytes | None] | None = None
        self.ended = False  # whether all of the utterance's audio has been read

    def close(self) -> None:
        """Read no more audio."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None  # ends the cycle of references with the task, so that both are freed at once

    async def replay(self, on_end: Callable[[], None]) -> AsyncGenerator[bytes, None]:
        """Yield the utterance's audio from its beginning. The first replay to reach the end calls `on_end`."""
        for number in itertools.count():
            if number >= len(self._pieces):
                piece = None if self.ended else await self._next_piece()
                if piece is None:
                    break
                yield piece
            else:
                yield self._pieces[number]
        if not self.ended:
            self.ended = True
            on_end()

    async def _next_piece(self) -> bytes | None:
        """The next piece of the utterance's audio; None at the utterance's end.

        An engine that fails is cancelled while it waits for audio. A separate task reads the audio, so that the
        cancellation of the engine neither loses a piece nor ends the audio for the next engine.
        """
        if not self._keep:
            return await self._read()
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        piece = await asyncio.shield(self._reading)
        self._reading = None
        if piece is not None:
            self._pieces.append(piece)
        return piece

    async def _read(self) -> bytes | None:
        return await anext(self._audio, None)
