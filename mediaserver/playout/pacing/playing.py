"""A source on its way through a pacer: how much of it went out, and whoever waits to be told."""

import asyncio
from dataclasses import dataclass

from mediaserver.playout.sources.source import PlaybackResult, Source


@dataclass(slots=True)
class Playing:
    """A source that plays, or waits for its turn.

    The times of its player are counted in frames that the stream has sent: `now` is how many by now.
    """

    source: Source
    done: asyncio.Future[PlaybackResult]
    started: int | None = None  # frames that the stream had sent when its turn came; None while it waits
    before: int = 0  # frames of it that were sent in turns before this one

    def begin(self, now: int) -> int:
        """Its turn comes; the frame that it goes on with."""
        self.started = now
        return self.heard(now)

    def suspend(self, now: int) -> None:
        """Its turn ends before it is over: there will be another."""
        self.before, self.started = self._sent(now), None

    def heard(self, now: int, unsent: int = 0) -> int:
        """Frames of it that were heard, without silence in place of late ones; `unsent` of the last were not."""
        return max(0, self._sent(now) - unsent - self.source.underruns)

    def finish(self, now: int, *, complete: bool, unsent: int = 0) -> None:
        """It is over: its player is told how much of it was heard."""
        if not self.done.done():
            self.done.set_result(PlaybackResult(self.heard(now, unsent), complete))

    def fail(self, error: BaseException) -> None:
        """It broke: its player is told."""
        if not isinstance(error, Exception) or isinstance(error, StopIteration):  # futures do not take these
            fault: Exception = RuntimeError(f"the source raised {type(error).__name__}")
            fault.__cause__ = error
        else:
            fault = error
        if not self.done.done():
            self.done.set_exception(fault)

    def _sent(self, now: int) -> int:
        return self.before + (now - self.started if self.started is not None else 0)
