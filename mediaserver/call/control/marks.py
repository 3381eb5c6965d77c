"""Marks that operators set on a stream: an event reports when all sound queued before the mark was played."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.playback_queue import Playback
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import PlaybackResult

Turn = asyncio.Future[PlaybackResult]  # a future that is done when a queued source was played or stopped
MAX_MARKS = 100  # the most marks that may wait on one stream


class Marks:
    """The marks of one stream. `notify` emits events.

    A mark waits in the playback queue as a source without frames. The audio of a bridged application, however, is
    one source that never ends, a buffer. Behind this source, the mark also waits in the buffer itself, as the
    application's own marks do, and is reached when the buffer's audio before the mark was played.
    """

    def __init__(self, pacer: Pacer, notify: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._pacer, self._notify = pacer, notify
        self._waiting = 0

    def add(self, name: str) -> None:
        """Emit the event `mark` once all sound that now plays or is queued has been sent, or has been stopped.

        RefusedError 429 where too many marks wait.
        """
        if self._waiting >= MAX_MARKS:
            raise RefusedError(RefusalReason.STREAM_BUSY, f"{MAX_MARKS} marks wait on this stream already")
        before = self._pacer.playbacks
        turn = self._pacer.play(Playlist(()))
        mark = _Mark(turn, before)
        if before and isinstance(buffer := before[-1].source, PlayoutBuffer):
            mark.wait_in(buffer, partial(self._pacer.withdraw, turn))
        self._waiting += 1
        turn.add_done_callback(lambda turn: self._report(name, mark))

    def _report(self, name: str, mark: "_Mark") -> None:
        self._waiting -= 1
        self._notify(EventKind.MARK, {"name": name, "complete": mark.is_complete})


class _Mark:
    """One mark: its turn in the playback queue, and the playbacks that were queued before it."""

    def __init__(self, turn: Turn, before: Sequence[Playback]) -> None:
        self._turn, self._before = turn, before
        self._was_cleared: Callable[[], bool] = lambda: False
        self._played = False  # whether the buffer's audio before the mark was played or cleared

    def wait_in(self, buffer: PlayoutBuffer, on_played: Callable[[], None]) -> None:
        """Call `on_played` when all audio that is in `buffer` now was played or cleared."""
        clears = buffer.clears
        self._was_cleared = lambda: buffer.clears != clears

        def reach() -> None:
            self._played = True
            on_played()

        buffer.add_mark(reach)

    @property
    def is_complete(self) -> bool:
        """Whether all sound before the mark was played to its end. To be read only once the mark was reached."""
        return (
            (self._played or self._turn.result().complete)
            and not self._was_cleared()
            and not any(playback.silenced for playback in self._before)
            and all(_is_whole(playback.done) for playback in self._before if playback.done.done())
        )


def _is_whole(turn: Turn) -> bool:
    return not turn.cancelled() and turn.exception() is None and turn.result().complete
