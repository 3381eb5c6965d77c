"""What a caller does next: speaks, or presses keys."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

from mediaserver.call import Call, Endpointer, Utterance
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.turn_taking import Floor

_ONSET_FRAMES = 2  # frames of voice that stop an answer: 40 ms
_MAX_UTTERANCE = 30.0  # seconds
_KEYS = "0123456789*#ABCD"
_LAST_KEY = "#"
_MOST_KEYS = 64  # in one go
_BETWEEN_KEYS = 2.0  # seconds


class Ears:
    """Listens, within `open`; the floor is told at once of who begins to speak, or presses a key."""

    def __init__(self, call: Call, floor: Floor, end_silence: float) -> None:
        self._call, self._floor, self._end_silence = call, floor, end_silence
        self._keys, self._since, self._until = "", 0.0, 0.0  # that wait
        self._pressed = asyncio.Event()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Listen, within a `with` block."""
        call, floor = self._call, self._floor
        options = {"onset_frames": _ONSET_FRAMES, "end_silence": self._end_silence, "max_duration": _MAX_UTTERANCE}
        with contextlib.ExitStack() as stack:
            utterances = stack.enter_context(call.utterances(on_start=floor.taken, **options))
            for key in _KEYS:
                stack.enter_context(call.keypad.intercept(key, partial(self._press, key)))
            self._utterances = utterances
            floor.wanted = lambda: bool(self._keys) or utterances.has_pending
            try:
                yield
            finally:
                floor.wanted = bool  # or it would refer to itself

    async def next(self, seconds: float) -> Utterance | Turn | None:
        """What begins within so many seconds: an utterance from its beginning on, or keys as a turn, once over."""
        speaking: asyncio.Future[Utterance] = asyncio.ensure_future(self._listened_to(self._utterances))
        pressing = asyncio.ensure_future(self._pressed.wait())
        try:
            await asyncio.wait((speaking, pressing), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            speaking.cancel()
            pressing.cancel()
            await asyncio.wait((speaking, pressing))
        if not speaking.cancelled():
            return speaking.result()
        return None if pressing.cancelled() else await self._all_keys()

    async def _listened_to(self, utterances: Endpointer) -> Utterance:
        while self._floor.ignores(utterance := await anext(utterances)):
            pass
        return utterance

    async def _all_keys(self) -> Turn:
        """To the last one, or a pause."""
        with contextlib.suppress(TimeoutError):
            while len(self._keys) < _MOST_KEYS and not self._keys.endswith(_LAST_KEY):
                self._pressed.clear()
                async with asyncio.timeout(_BETWEEN_KEYS):
                    await self._pressed.wait()
        keys, self._keys = self._keys, ""
        self._pressed.clear()
        return Turn(f"[pressed {' '.join(keys)}]", self._since, self._until)

    def _press(self, key: str) -> None:
        if not self._floor.pressed() or len(self._keys) >= _MOST_KEYS:
            return
        self._until = self._call.now
        if not self._keys:
            self._since = self._until
        self._keys += key
        self._pressed.set()
