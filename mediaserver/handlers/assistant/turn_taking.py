"""Turn taking: decides whether the assistant may speak, and stops it when the caller barges in."""

import contextlib
from collections.abc import Callable, Iterator

from mediaserver.call import Utterance


class TurnTaking:
    """Decides who speaks. With `barge_in`, a detected voice or key of the caller stops the assistant at once.

    With `barge_in`, the assistant also does not begin to speak while `caller_waiting` returns True, which means
    that speech or keys of the caller have not been processed yet. Without `barge_in`, the assistant is never
    stopped, and the caller's speech and keys are ignored while the assistant speaks.
    """

    def __init__(self, barge_in: bool) -> None:
        self._barge_in = barge_in
        self._stop: Callable[[], None] | None = None
        self._ignored: list[Utterance] = []
        self.caller_waiting: Callable[[], bool] = bool

    @contextlib.contextmanager
    def speaking(self, stop: Callable[[], None]) -> Iterator[None]:
        """Mark the assistant as speaking in a `with` block. `stop` must stop the playback, and must not block."""
        self._stop = stop
        try:
            if self._barge_in and self.caller_waiting():
                stop()
            yield
        finally:
            self._stop = None

    def on_speech_start(self, utterance: Utterance) -> None:
        """If the assistant speaks, stop it; without `barge_in`, note instead that `utterance` is to be ignored."""
        if self._stop is None:
            return
        if self._barge_in:
            self._stop()
        else:
            self._ignored.append(utterance)

    def on_digit(self) -> bool:
        """Stop the assistant if it speaks. Without `barge_in`, return False instead: the DTMF key is ignored."""
        if self._stop is not None and self._barge_in:
            self._stop()
        return self._stop is None or self._barge_in

    def discards(self, utterance: Utterance) -> bool:
        """Whether an utterance is to be ignored. Must be called once for each utterance, in order."""
        ignored = utterance in self._ignored
        if ignored:
            self._ignored.remove(utterance)
        return ignored
