"""One listener of a call: the PCM of one direction, or of both side by side, as time goes on."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from mediaserver.audio.pcm import FRAME_BYTES, PTIME, SAMPLE_BYTES, SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.call.listening.live_track import LiveTrack
from mediaserver.wire.encapsulation import Encoding

DELAY = 0.1  # seconds by which a listener hears late, so that audio of a network's jitter has come
_AT_A_TIME = 3  # frames (60 ms) for which a reader waits, so that a listener wakes the process less often
_MAX_AT_A_TIME = 10 * FRAME_BYTES  # bytes of one channel (200 ms) that a reader gets at once
MAX_BACKLOG = 2 * SAMPLE_RATE * SAMPLE_BYTES  # bytes (2 s) that wait for a slow listener; the oldest are dropped
_TURNS = 2  # of the event loop, in which it reads the audio that has come while the process was held up


class Side(StrEnum):
    """Whom a listener hears."""

    BOTH = "both"
    CALLER = "caller"
    US = "us"

    @property
    def channels(self) -> int:
        """How many channels the PCM has: the caller is on the left, and what we send is on the right."""
        return 2 if self is Side.BOTH else 1


class ListenIn:
    """Aligns what a call sends and receives by a clock, in seconds, and gives it to one reader.

    `lead` returns the frames by which the call sends ahead of time.
    """

    def __init__(self, side: Side, clock: Callable[[], float], lead: Callable[[], int]) -> None:
        self.side = side
        self.dropped = 0  # bytes of one channel that were dropped because the listener, or a track, was too slow
        self._clock, self._lead, self._began = clock, lead, clock()
        self._caller = LiveTrack() if side is not Side.US else None
        self._us = LiveTrack(lead() * FRAME_BYTES) if side is not Side.CALLER else None
        self._tracks = [track for track in (self._caller, self._us) if track is not None]
        self._read = 0  # bytes of one channel that were read or dropped
        self._closed = False
        self._wake_up = asyncio.Event()

    @property
    def seconds(self) -> float:
        """How long the listener has been there."""
        return self._clock() - self._began

    # -- called by the stream ------------------------------------------------------------------------------------

    def push_received(self, pcm: bytes) -> None:
        """Take audio that the call has received."""
        if self._caller is not None:
            now = self._now()
            self.dropped += self._caller.push(pcm, now)
            self._limit_backlog(now)

    def on_frame_sent(self, encoding: Encoding, frame: bytes) -> None:
        """Take a frame that the call sends."""
        if self._us is not None:
            now = self._now()
            self.dropped += self._us.push(encoding.decode(frame), now + self._lead() * FRAME_BYTES)
            self._limit_backlog(now)

    def on_frames_flushed(self, frames: int) -> None:
        """Take back the last frames that were sent, because the far end has dropped them unplayed."""
        if self._us is not None:
            self._us.retract(frames * FRAME_BYTES)

    def close(self) -> None:
        """End the listening: the reader gets what is left, and then no more."""
        self._closed = True
        self._wake_up.set()

    # -- called by the listener ----------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Wait for the next 60 ms of PCM, and return up to 200 ms: whole frames, of one channel or two in turn.

        b"" when all is read of a call that is over.
        """
        while not self._closed:
            ready = self._now() - round(DELAY * SAMPLE_RATE) * SAMPLE_BYTES - self._read
            if ready >= _AT_A_TIME * FRAME_BYTES:
                return self._take(ready - ready % FRAME_BYTES)
            await self._sleep((_AT_A_TIME - ready / FRAME_BYTES) * PTIME)
        left = max(map(len, self._tracks))
        return self._take(left + -left % FRAME_BYTES)

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until the end, and let the event loop read what has come meanwhile."""
        timer = asyncio.get_running_loop().call_later(seconds, self._wake_up.set)
        try:
            await self._wake_up.wait()
        finally:
            timer.cancel()
        if not self._closed:
            self._wake_up.clear()
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    def _take(self, size: int) -> bytes:
        size = min(size, _MAX_AT_A_TIME)
        channels = [track.read(size) for track in self._tracks]
        self._read += size
        return channels[0] if len(channels) == 1 else to_bytes(np.column_stack([*map(from_bytes, channels)]))

    def _now(self) -> int:
        return int((self._clock() - self._began) * SAMPLE_RATE) * SAMPLE_BYTES

    def _limit_backlog(self, now: int) -> None:
        """Drop the oldest audio of both directions alike, where the listener is too slow."""
        over = now - self._read - MAX_BACKLOG
        if over >= FRAME_BYTES:
            over -= over % FRAME_BYTES
            for track in self._tracks:
                track.read(over)
            self._read += over
            self.dropped += over
