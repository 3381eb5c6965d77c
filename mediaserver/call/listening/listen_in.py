"""One listener of a call, who gets the PCM of one direction, or of both side by side, as the call goes on."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from mediaserver.audio.pcm import FRAME_BYTES, PTIME, SAMPLE_BYTES, SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.call.listening.live_track import LiveTrack
from mediaserver.wire.encapsulation import Encoding

DELAY = 0.1  # seconds by which a listener hears a call late, so that audio delayed by jitter has arrived by then
_AT_A_TIME = 3  # number of frames (60 ms) that a reader waits for, so that it wakes the process less often
_MAX_AT_A_TIME = 10 * FRAME_BYTES  # the most bytes of one channel (200 ms) that a reader gets at once
MAX_BACKLOG = 2 * SAMPLE_RATE * SAMPLE_BYTES  # the most bytes (2 s) that wait for a slow listener
_TURNS = 2  # turns that the event loop gets to read audio that arrived while the process was held up


class Side(StrEnum):
    """The sides of a call that a listener may hear."""

    BOTH = "both"
    CALLER = "caller"
    US = "us"

    @property
    def channels(self) -> int:
        """How many channels the PCM has. Of two, the caller's audio is the left one, the sent audio the right."""
        return 2 if self is Side.BOTH else 1


class ListenIn:
    """Aligns the audio that a call sends and receives by a clock, in seconds, and gives the audio to one reader.

    `lead` returns the number of frames by which the call sends ahead of the time of playing.
    """

    def __init__(self, side: Side, clock: Callable[[], float], lead: Callable[[], int]) -> None:
        self.side = side
        self.dropped = 0  # bytes of one channel that were dropped: the listener was slow, or the audio not due yet
        self._clock, self._lead, self._began = clock, lead, clock()
        self._caller = LiveTrack() if side is not Side.US else None
        self._us = LiveTrack(lead() * FRAME_BYTES) if side is not Side.CALLER else None
        self._tracks = [track for track in (self._caller, self._us) if track is not None]
        self._read = 0  # number of bytes of one channel that were read or dropped
        self._closed = False
        self._wake_up = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Seconds since the listener was attached to the call."""
        return self._clock() - self._began

    # -- called by the stream ------------------------------------------------------------------------------------

    def push_received(self, pcm: bytes) -> None:
        """Add audio that the call has received."""
        if self._caller is not None:
            now = self._now()
            self.dropped += self._caller.push(pcm, now)
            self._limit_backlog(now)

    def on_frame_sent(self, encoding: Encoding, frame: bytes) -> None:
        """Add a frame that the call sends."""
        if self._us is not None:
            now = self._now()
            self.dropped += self._us.push(encoding.decode(frame), now + self._lead() * FRAME_BYTES)
            self._limit_backlog(now)

    def on_frames_flushed(self, frames: int) -> None:
        """Remove the last frames that were sent, because the far end has dropped them unplayed."""
        if self._us is not None:
            self._us.retract(frames * FRAME_BYTES)

    def close(self) -> None:
        """End the listening: the reader gets the audio that is left, and then b""."""
        self._closed = True
        self._wake_up.set()

    # -- called by the listener ----------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Wait for the next 60 ms of PCM; return up to 200 ms: whole frames of one channel, or two interleaved.

        Returns b"" when the listening has ended and all audio is read.
        """
        while not self._closed:
            ready = self._now() - round(DELAY * SAMPLE_RATE) * SAMPLE_BYTES - self._read
            if ready >= _AT_A_TIME * FRAME_BYTES:
                return self._take(ready - ready % FRAME_BYTES)
            await self._sleep((_AT_A_TIME - ready / FRAME_BYTES) * PTIME)
        left = max(map(len, self._tracks))
        return self._take(left + -left % FRAME_BYTES)

    async def _sleep(self, seconds: float) -> None:
        """Wait `seconds`, or until `close`; then let the event loop read the audio that has arrived meanwhile."""
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
        """If the listener is too slow, drop the oldest audio, as much of one direction as of the other."""
        over = now - self._read - MAX_BACKLOG
        if over >= FRAME_BYTES:
            over -= over % FRAME_BYTES
            for track in self._tracks:
                track.read(over)
            self._read += over
            self.dropped += over
