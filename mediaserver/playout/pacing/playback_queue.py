"""The queue of one stream's sources: the source that plays now, and the sources that wait for their turn."""

import asyncio
from dataclasses import dataclass

from mediaserver.playout.sources.source import PlaybackResult, Source


@dataclass(slots=True)
class Playback:
    """One source that plays or waits, with how much of it was played.

    The methods' parameter `now` is the number of frames that the stream has sent so far.
    """

    source: Source
    done: asyncio.Future[PlaybackResult]
    started: int | None = None  # number of frames the stream had sent when this source began; None while it waits
    before: int = 0  # how many frames of the source were sent in its earlier turns
    fading: bool = False  # whether the source is the faded end of another one, which was stopped
    silenced: bool = False  # whether the source is heard no more, although its future is not done

    def begin(self, now: int) -> int:
        """Begin the source's turn; return the index of the source's frame with which the turn begins."""
        self.started = now
        return self.played(now)

    def is_heard(self, now: int) -> bool:
        """Whether the last frame that the stream has sent came from this source."""
        return self.started is not None and now > self.started

    def suspend(self, now: int) -> None:
        """End the source's turn before the source is at its end: the source will get another turn."""
        self.before, self.started = self._sent(now), None

    def silence(self, now: int, unsent: int) -> None:
        """Stop the source for good, but leave its future pending; the far end dropped its last `unsent` frames."""
        self.suspend(now)
        self.before, self.silenced = max(0, self.before - unsent), True

    def played(self, now: int, unsent: int = 0) -> int:
        """How many frames of the source were played, not counting the silence of underruns.

        The last `unsent` frames do not count: they are due but not sent, or the far end has dropped them unplayed.
        """
        return max(0, self._sent(now) - unsent - self.source.underruns)

    def finish(self, now: int, *, complete: bool, unsent: int = 0) -> None:
        """End the source: the result of its future tells how much of the source was played."""
        if not self.done.done():
            self.done.set_result(PlaybackResult(self.played(now, unsent), complete))

    def fail(self, error: BaseException) -> None:
        """End a source that has raised `error`: its future raises the error, too."""
        # The future gets a RuntimeError in place of StopIteration, which asyncio's futures refuse, and in place of
        # errors that are no `Exception`.
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            fault: Exception = RuntimeError(f"the source raised {type(error).__name__}")
            fault.__cause__ = error
        else:
            fault = error
        if not self.done.done():
            self.done.set_exception(fault)

    def _sent(self, now: int) -> int:
        return self.before + (now - self.started if self.started is not None else 0)


class PlaybackQueue:
    """The sources of one stream, played one after another.

    `current` is the source that plays, or None while the stream sends silence.
    """

    __slots__ = ("_loop", "_past_underruns", "_silenced", "_waiting", "current")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.current: Playback | None = None
        self._waiting: list[Playback] = []  # mostly of none or one, for which a deque would take half a kilobyte
        # Endlessly repeated sources that are heard no more, but whose futures are not done.
        self._silenced: list[Playback] = []
        self._past_underruns = 0  # the sum of the underruns of sources that have ended

    @property
    def underruns(self) -> int:
        """How many frames of silence the stream's sources gave because their audio was not there in time."""
        return self._past_underruns + (self.current.source.underruns if self.current is not None else 0)

    @property
    def playbacks(self) -> list[Playback]:
        """All sources that play or wait, in the order of their turns, without the faded end of a stopped one."""
        current = [self.current] if self.current is not None and not self.current.fading else []
        return [*current, *self._waiting]

    def append(self, source: Source) -> asyncio.Future[PlaybackResult]:
        """Queue a source; the future's result will be how much of the source was played."""
        self._waiting.append(playback := Playback(source, self._loop.create_future()))
        return playback.done

    def bring_forward(self, done: asyncio.Future[PlaybackResult]) -> None:
        """Put the waiting source whose future is `done` before all other waiting ones."""
        (playback,) = [playback for playback in self._waiting if playback.done is done]
        self._waiting.remove(playback)
        self._waiting.insert(0, playback)

    def awaits_first_turn(self, done: asyncio.Future[PlaybackResult]) -> bool:
        """Whether the source whose future is `done` waits, and no frame of it was sent yet."""
        return any(playback.done is done and not playback.before for playback in self._waiting)

    def begin_next(self) -> Playback | None:
        """Make the first waiting source the current one, and return it; None if no source waits."""
        if not self._waiting:
            return None
        self.current = self._waiting.pop(0)
        return self.current

    def begin_fade(self, source: Source) -> Playback:
        """Make the faded end of a stopped source the current source, before all waiting ones, and return it."""
        done = self._loop.create_future()
        done.cancel()  # no task waits for this future, so no task would retrieve an error from it
        self.current = Playback(source, done, fading=True)
        return self.current

    def suspend_current(self, now: int) -> None:
        """Make the current source the first of the waiting ones; its next turn continues where it was stopped.

        The faded end of a stopped source gets no further turn, because after a break it would be heard as a sound
        of its own. A source that is not resumable gets no further turn either.
        """
        if self.current is not None and (self.current.fading or not self.current.source.resumable):
            self.finish_current(now, complete=False)
        elif self.current is not None:
            self.current.suspend(now)
            self._waiting.insert(0, self.current)
            self.current = None

    def finish_current(self, now: int, *, complete: bool, unsent: int = 0) -> None:
        """End the current source, if there is one; its future's result tells how much of the source was played."""
        if self.current is not None:
            self.current.finish(now, complete=complete, unsent=unsent)
            self._retire(self.current)

    def fail_current(self, error: BaseException) -> None:
        """End the current source, if there is one: its future raises `error`."""
        if self.current is not None:
            self.current.fail(error)
            self._retire(self.current)

    def silence_current(self, now: int, *, unsent: int = 0) -> None:
        """Stop the sound of the current source; do nothing if no source plays.

        A live source drops the audio that waits in it, and becomes the first of the waiting sources. A loop is
        heard no more, but its future is not done, so that the task that plays it does not go on. Any other source
        ends.
        """
        if self.current is None:
            return
        if self.current.source.live:
            self.current.source.drop_audio()
            self.suspend_current(now)
        else:
            self._silence(self.current, now, unsent)

    def silence_waiting(self, now: int) -> None:
        """Stop the sound of the waiting sources as `silence_current` does, except of those behind the last loop.

        Sources behind a loop could not be heard before, because a loop does not end. They go on waiting.
        """
        playbacks = self.playbacks
        last_loop = max((at for at, each in enumerate(playbacks) if each.source.loops), default=len(playbacks))
        for playback in reversed(playbacks[: last_loop + 1]):
            if playback is self.current:
                continue
            if playback.source.live:
                playback.source.drop_audio()
            else:
                self._waiting.remove(playback)
                self._silence(playback, now)

    def _silence(self, playback: Playback, now: int, unsent: int = 0) -> None:
        if playback.source.loops:
            playback.silence(now, unsent)
            self._silenced.append(playback)
        else:
            playback.finish(now, complete=False, unsent=unsent)
        self._retire(playback)

    def cancel_waiting(self, now: int) -> None:
        """End all waiting and silenced sources: their futures get a result with `complete` False."""
        while self._silenced:
            self._silenced.pop().finish(now, complete=False)
        while self._waiting:
            playback = self._waiting.pop()
            playback.finish(now, complete=False)
            self._retire(playback)

    def remove_waiting(self, done: asyncio.Future[PlaybackResult], now: int) -> None:
        """Remove the waiting or silenced source whose future is `done`.

        The result of the future tells how much of the source was played.
        """
        for playback in [playback for playback in self._silenced if playback.done is done]:
            self._silenced.remove(playback)
            playback.finish(now, complete=False)
        for playback in [playback for playback in self._waiting if playback.done is done]:
            self._waiting.remove(playback)
            playback.finish(now, complete=False)
            self._retire(playback)

    def _retire(self, playback: Playback) -> None:
        self._past_underruns += playback.source.underruns
        if playback is self.current:
            self.current = None
