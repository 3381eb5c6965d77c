"""The turn detector: waits for the caller's next turn, an utterance (endpointed by VAD) or DTMF keys."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

from mediaserver.call import Call, Endpointer, Utterance
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.turn_taking import TurnTaking

_MAX_UTTERANCE = 30.0  # the maximum duration of an utterance in seconds; a longer utterance is cut
_KEYS = "0123456789*#ABCD"
_TERMINATOR = "#"
_MAX_KEYS = 64  # the maximum number of keys in one turn; further keys are dropped
_INTERDIGIT_TIMEOUT = 2.0  # the seconds without a key after which a turn of keys ends


class TurnDetector:
    """Detects the caller's turns within a `listening` block. Reports speech and keys to `turn_taking` at once."""

    def __init__(self, call: Call, turn_taking: TurnTaking, end_silence: float) -> None:
        self._call, self._turn_taking, self._end_silence = call, turn_taking, end_silence
        # The keys of a turn that is not complete yet, and the times of its first and last key.
        self._keys, self._first_key_at, self._last_key_at = "", 0.0, 0.0
        self._key_pressed = asyncio.Event()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Detect the caller's speech and keys within a `with` block."""
        call, turn_taking = self._call, self._turn_taking
        options = {"end_silence": self._end_silence, "max_duration": _MAX_UTTERANCE}
        with contextlib.ExitStack() as stack:
            utterances = stack.enter_context(
                call.utterances(True, on_start=turn_taking.on_speech_start, **options)
            )
            for key in _KEYS:
                stack.enter_context(call.keypad.intercept(key, partial(self._on_digit, key)))
            self._utterances = utterances
            turn_taking.caller_waiting = lambda: bool(self._keys) or utterances.has_pending
            try:
                yield
            finally:
                turn_taking.caller_waiting = bool  # drops the lambda, which keeps this object in memory

    async def next_turn(self, timeout: float) -> Utterance | Turn | None:
        """Wait for the caller's next turn; None if no turn begins within `timeout` seconds.

        An utterance is returned as soon as it begins. Keys are returned as a `Turn` once they are complete.
        """
        utterance: asyncio.Future[Utterance] = asyncio.ensure_future(self._next_utterance(self._utterances))
        digit = asyncio.ensure_future(self._key_pressed.wait())
        try:
            await asyncio.wait((utterance, digit), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            utterance.cancel()
            digit.cancel()
            await asyncio.wait((utterance, digit))
        if not utterance.cancelled():
            return utterance.result()
        return None if digit.cancelled() else await self._collect_keys()

    async def _next_utterance(self, utterances: Endpointer) -> Utterance:
        while self._turn_taking.discards(utterance := await anext(utterances)):
            pass
        return utterance

    async def _collect_keys(self) -> Turn:
        """Collect keys until `#`, the 64th key, or two seconds without a key."""
        with contextlib.suppress(TimeoutError):
            while len(self._keys) < _MAX_KEYS and not self._keys.endswith(_TERMINATOR):
                self._key_pressed.clear()
                async with asyncio.timeout(_INTERDIGIT_TIMEOUT):
                    await self._key_pressed.wait()
        keys, self._keys = self._keys, ""
        self._key_pressed.clear()
        return Turn(f"[pressed {' '.join(keys)}]", self._first_key_at, self._last_key_at)

    def _on_digit(self, key: str) -> None:
        if not self._turn_taking.on_digit() or len(self._keys) >= _MAX_KEYS:
            return
        self._last_key_at = self._call.now
        if not self._keys:
            self._first_key_at = self._last_key_at
        self._keys += key
        self._key_pressed.set()
