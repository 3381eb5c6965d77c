"""One direction of a call for a live listener: the audio is put at its place in time.

A listener hears the call a little late, so that audio that the network has delayed arrives before its place is
read. Missing audio is replaced by silence in whole frames, so that no sample of the audio is altered.
"""

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE

_TOLERANCE = 2 * FRAME_BYTES  # bytes by which audio may stay behind the clock without being padded with silence
_AHEAD = 3 * FRAME_BYTES  # bytes by which audio may stay ahead of the clock without being dropped
_FAR = 1 << 62  # a number of bytes that is greater than any lag
_WINDOW = SAMPLE_RATE * SAMPLE_BYTES // 2  # bytes (0.5 s): audio that is early or late for as long is moved


class LiveTrack:
    """Audio that waits to be heard. Times are counted in bytes of PCM since the listener began.

    `ahead` is the number of bytes by which audio comes before it is due. The track begins with as much silence.
    """

    __slots__ = ("_least_lag", "_most_lag", "_pcm", "_read", "_short", "_window")

    def __init__(self, ahead: int = 0) -> None:
        self._pcm = bytearray(ahead)
        self._read = 0  # the time, in bytes, up to which the audio was read
        self._short = True  # whether silence was read after the latest audio, or no audio has come yet
        # The audio's lag behind the clock is observed for 0.5 s at a time. These are the time at which the present
        # observation began, and the least and the greatest lag since then.
        self._window, self._least_lag, self._most_lag = 0, _FAR, -_FAR

    def __len__(self) -> int:
        return len(self._pcm)

    def push(self, pcm: bytes, now: int) -> int:
        """Append audio of any size whose end is due at the time `now`; return how many bytes were dropped.

        Silence is put before late audio at once if the track ran out of audio, or else once audio has been behind
        the clock for half a second. If audio has been ahead of the clock for half a second, some of it is dropped.
        """
        lag = now - self._read - len(self._pcm) - len(pcm)
        self._least_lag, self._most_lag = min(self._least_lag, lag), max(self._most_lag, lag)
        dropped = 0
        if self._short:
            self._least_lag = lag
        if self._least_lag > _TOLERANCE and (self._short or now - self._window >= _WINDOW):
            self._pcm += bytes(self._least_lag - self._least_lag % FRAME_BYTES)
            self._begin_window(now)
        elif now - self._window >= _WINDOW:
            if self._most_lag < -_AHEAD:
                dropped = min(len(self._pcm), -self._most_lag - -self._most_lag % FRAME_BYTES)
                del self._pcm[:dropped]
            self._begin_window(now)
        self._pcm += pcm
        self._short = False
        return dropped

    def retract(self, size: int) -> None:
        """Remove the last `size` bytes that have not been read, because the far end will not hear them."""
        del self._pcm[max(0, len(self._pcm) - size) :]

    def read(self, size: int) -> bytes:
        """Remove and return the first `size` bytes of audio, filled up with silence."""
        self._short |= size > len(self._pcm)
        pcm = bytes(self._pcm[:size]).ljust(size, b"\0")
        del self._pcm[:size]
        self._read += size
        return pcm

    def _begin_window(self, now: int) -> None:
        self._window, self._least_lag, self._most_lag = now, _FAR, -_FAR
