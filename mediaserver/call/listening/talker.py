"""The speech of an operator who talks on a running call: mixed with the sound that plays, or in its place."""

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

_DELAY_MS = 60  # ms for which an operator's audio waits, so that the network's jitter makes no gaps
_SLACK_MS = 500  # ms of audio beyond _DELAY_MS that may wait; more is dropped, or the speech would come too late
# Seconds after which the speech of a whispering listener who has left is removed. It was played by then, unless
# the peer paused the playout or read slowly.
_AFTER_LEAVING = (_DELAY_MS + _SLACK_MS + 100) / 1000


class Role(StrEnum):
    """What a listener does besides listening."""

    LISTEN = "listen"
    WHISPER = "whisper"  # the listener's speech is mixed with the sound that plays
    BARGE = "barge"  # the listener's speech interrupts the sound that plays, which goes on afterwards


class _Talk(LiveSource):
    """A talker's speech. After the talker has left, speech that cannot be played at once is dropped as stale."""

    @property
    def resumable(self) -> bool:
        """Whether interrupted speech is resumed later: only while the talker is still attached to the call."""
        return not self._ended


class Talker:
    """Plays the speech of a `WHISPER` or `BARGE` listener on a call, from the listener's first audio on.

    `answer` answers the call, if the peer leaves answering to this server.
    """

    def __init__(self, role: Role, pacer: Pacer, answer: Callable[[], None]) -> None:
        self._role, self._pacer, self._answer = role, pacer, answer
        self._live: LiveSource | None = None
        self._played: asyncio.Future[PlaybackResult] | None = None  # done when a barging listener's source is over
        self._overlay = contextlib.ExitStack()  # ends the playing of a whispering listener's source

    def push_audio(self, pcm: bytes) -> None:
        """Play PCM (16-bit, 8 kHz, mono) of any number of samples. ValueError where it has half a sample."""
        if self._role is Role.LISTEN or not pcm:
            return
        if len(pcm) % 2:
            raise ValueError("should be whole samples of 16 bits")
        # A new source is begun for the first audio, and also after a `clear` has ended the previous source.
        if self._live is None or (self._played is not None and self._played.done()):
            self._live = self._begin()
        self._live.push_audio(pcm)

    def finish(self) -> None:
        """Play the pushed audio that is left, and then no more.

        A barging listener's audio is dropped if another source is playing. A whispering listener's audio is
        dropped if it is not sent within some 0.7 s, because the peer pauses the playout (XOFF) or reads slowly.
        """
        if self._live is not None:
            self._live.end()
            asyncio.get_running_loop().call_later(_AFTER_LEAVING, self._overlay.close)
        if self._played is not None:
            self._pacer.withdraw(self._played)

    def cut(self) -> None:
        """Stop playing at once, because the stream is over."""
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
        """Have the overlay of speech on the call's sound removed, and yield silence until that has happened."""
        asyncio.get_running_loop().call_soon(self._overlay.close)
        while True:
            yield SILENCE
