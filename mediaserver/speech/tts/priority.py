"""Whose sentence an engine speaks next: paths take turns, and what strangers have said comes last."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class Origin(NamedTuple):
    """Who has a text said: a path, by its pattern. A `stranger` has put what they like into the text."""

    path: str = ""
    stranger: bool = False


OURS = Origin()


class Turn:
    """One that waits, or has its turn."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.begun = asyncio.Event()


class Turns:
    """At most `size` at a time (0: any number), in the order of those who wait.

    Texts that are not strangers' come first, and paths take turns: one that has many waits longer for each. Where
    there are several places, strangers leave one free.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._busy = self._strangers = 0
        self._waiting: dict[bool, dict[str, deque[Turn]]] = {False: {}, True: {}}  # by whether they are strangers

    @asynccontextmanager
    async def taken(self, turn: Turn) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        self._waiting[turn.origin.stranger].setdefault(turn.origin.path, deque()).append(turn)
        self._begin()
        try:
            await turn.begun.wait()
            yield
        finally:
            if turn.begun.is_set():
                self._busy -= 1
                self._strangers -= turn.origin.stranger
            else:
                self._leave(turn)
            self._begin()

    def promote(self, turn: Turn, origin: Origin) -> None:
        """Somebody else has the same said: it is not a stranger's text any more, where it has not begun."""
        if turn.origin.stranger and not origin.stranger and not turn.begun.is_set():
            self._leave(turn)
            turn.origin = origin
            self._waiting[False].setdefault(origin.path, deque()).append(turn)
            self._begin()

    def _leave(self, turn: Turn) -> None:
        waiting = self._waiting[turn.origin.stranger]
        path = turn.origin.path
        waiting[path].remove(turn)
        if not waiting[path]:
            del waiting[path]

    def _begin(self) -> None:
        """Have as many begin as may."""
        for stranger, waiting in self._waiting.items():
            while waiting and self._has_room(stranger):
                path = next(iter(waiting))
                turns = waiting.pop(path)
                turn = turns.popleft()
                if turns:
                    waiting[path] = turns  # the last to have a turn again
                self._busy += 1
                self._strangers += stranger
                turn.begun.set()

    def _has_room(self, stranger: bool) -> bool:
        if not self._size:
            return True
        return self._busy < self._size and not (stranger and self._strangers >= max(1, self._size - 1))
