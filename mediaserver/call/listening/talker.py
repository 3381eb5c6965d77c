"""An operator who talks on a call that goes on: over what plays, or in its place."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.source import PlaybackResult
from mediaserver.wire.encapsulation import L16

_DELAY_MS = 60  # ms for which audio waits, so that a network's jitter is no gap
_SLACK_MS = 500  # ms of audio that may wait beyond the delay; more is dropped, or the talk would lag


# Seconds after which nothing is heard of one who has left: all that waits is played by then, unless it is held up.
_AFTER_LEAVING = (_DELAY_MS + _SLACK_MS + 100) / 1000


class Role(StrEnum):
    """What a listener does besides listening."""

    LISTEN = "listen"
    WHISPER = "whisper"  # what the listener says is added to what plays
    BARGE = "barge"  # what the listener says is played in place of what plays, which goes on afterwards


class _Talk(LiveSource):
    """What a talker says. Once the talker has left, it is heard at once or never, as it is about the moment."""

    @property
    def resumable(self) -> bool:
        """Whether the talker is still there."""
        return not self._ended


class Talker:
    """Plays on a call what a `WHISPER` or `BARGE` listener says. Nothing happens before the first audio.

    `answer` answers the call, if that is left to us.
    """

    def __init__(self, role: Role, pacer: Pacer, answer: Callable[[], None]) -> None:
        self._role, self._pacer, self._answer = role, pacer, answer
        self._live: LiveSource | None = None
        self._played: asyncio.Future[PlaybackResult] | None = None  # done once a barging source is over
        self._overlay = contextlib.ExitStack()  # as long as a whispering source is played

    def push_audio(self, pcm: bytes) -> None:
        """Play PCM (16-bit, 8 kHz, mono) of any number of samples. ValueError where it has half a sample."""
        if self._role is Role.LISTEN or not pcm:
            return
        if len(pcm) % 2:
            raise ValueError("should be whole samples of 16 bits")
        if self._live is None or (self._played is not None and self._played.done()):  # or a `clear` has ended it
            self._live = self._begin()
        self._live.push_audio(pcm)

    def finish(self) -> None:
        """Play what was pushed, and then no more; nothing of it where somebody else has the turn.

        What the far end holds up for longer than it lasts, by XOFF or as a slow peer, is not played either.
        """
        if self._live is not None:
            self._live.end()
            asyncio.get_running_loop().call_later(_AFTER_LEAVING, self._overlay.close)
        if self._played is not None:
            self._pacer.withdraw(self._played)

    def cut(self) -> None:
        """Play no more, as the stream is over."""
        self.finish()
        self._overlay.close()

    def _begin(self) -> LiveSource:
        self._answer()
        live = _Talk(_DELAY_MS, _SLACK_MS)
        if self._role is Role.BARGE:
            self._played = self._pacer.interject(live)
        else:
            self._overlay.enter_context(self._pacer.overlay(chain(live.iter_frames(L16), self._after_the_last())))
        return live

    def _after_the_last(self) -> Iterator[bytes]:
        """Have the overlay removed once its last frame was sent, and yield silence until then."""
        asyncio.get_running_loop().call_soon(self._overlay.close)
        while True:
            yield SILENCE
