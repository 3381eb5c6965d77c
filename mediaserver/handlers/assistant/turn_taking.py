"""Who may be heard: whoever speaks to the caller, until the caller does."""

import contextlib
from collections.abc import Callable, Iterator

from mediaserver.call import Utterance


class Floor:
    """Held by one speaker at a time, who is stopped in the very moment in which the caller's voice is noticed.

    Nobody begins while the caller is `wanted` on it: has said something that nobody has listened to yet.
    Without `barge_in` nobody is stopped, and what the caller says meanwhile is not listened to.
    """

    def __init__(self, barge_in: bool) -> None:
        self._barge_in = barge_in
        self._stop: Callable[[], None] | None = None
        self._ignored: list[Utterance] = []
        self.wanted: Callable[[], bool] = bool

    @contextlib.contextmanager
    def held(self, stop: Callable[[], None]) -> Iterator[None]:
        """Speak to the caller, within a `with` block; `stop` must return at once."""
        self._stop = stop
        try:
            if self._barge_in and self.wanted():
                stop()
            yield
        finally:
            self._stop = None

    def taken(self, utterance: Utterance) -> None:
        """The caller has begun to speak."""
        if self._stop is None:
            return
        if self._barge_in:
            self._stop()
        else:
            self._ignored.append(utterance)

    def pressed(self) -> bool:
        """The caller has pressed a key; whether anybody listens to it."""
        if self._stop is not None and self._barge_in:
            self._stop()
        return self._stop is None or self._barge_in

    def ignores(self, utterance: Utterance) -> bool:
        """Whether nobody listens to this one; asked once of each, in order."""
        ignored = utterance in self._ignored
        if ignored:
            self._ignored.remove(utterance)
        return ignored
