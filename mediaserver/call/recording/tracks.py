"""The two tracks of a stereo recording. One clock keeps them in step: gaps of a track are filled with silence."""

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

_SECOND = SAMPLE_RATE * SAMPLE_BYTES  # number of bytes in one second of a track
_MAX_LAG = _SECOND // 5  # bytes (200 ms) by which audio may stay behind the recording's clock without being padded
_GAP_TIMEOUT = 0.5  # seconds within which delayed audio arrives; a longer gap is filled with silence
_MAX_WAIT = 10 * _SECOND  # bytes for which a track waits for the other track's audio; then silence replaces it
_MAX_PENDING = 60 * _SECOND  # the most bytes that a track keeps if its audio came too early; more are read at once


class Track:
    """One track of a stereo recording. `gap_timeout`: seconds to wait after a gap for audio that may be late."""

    def __init__(self, gap_timeout: float = 0.0) -> None:
        self._gap_timeout = gap_timeout
        self._pcm = bytearray()
        # A possible gap: its offset in `_pcm` in bytes, and the second of the recording at which it was noticed.
        self._gap: tuple[int, float] | None = None
        self._min_lag = 0  # the least lag of the track's end behind the clock since the gap was noticed, in bytes
        self._read = 0  # number of bytes of the track that were read so far

    def __len__(self) -> int:
        return len(self._pcm)

    @property
    def settled(self) -> int:
        """The number of bytes whose position in time is certain: all bytes, or those before a possible gap."""
        return self._gap[0] if self._gap is not None else len(self._pcm)

    def push(self, pcm: bytes, now: float) -> None:
        """Add audio that came `now` seconds into the recording."""
        lag = self._lag(now)
        if self._gap is None and lag > _MAX_LAG:
            self._gap, self._min_lag = (len(self._pcm), now), lag
        self._pcm += pcm
        self._min_lag = min(self._min_lag, self._lag(now) + len(pcm))
        self.resolve_gap(now)

    def retract(self, size: int) -> None:
        """Remove the last `size` bytes, as far as they have not been read."""
        del self._pcm[max(0, len(self._pcm) - size) :]

    def resolve_gap(self, now: float, last: bool = False) -> None:
        """Once the time-out of a possible gap is over, fill the gap with silence if audio was not just late."""
        if self._gap is not None and (last or now - self._gap[1] >= self._gap_timeout):
            if self._min_lag > _MAX_LAG:
                at = self._gap[0]
                self._pcm[at:at] = bytes(self._min_lag)
            self._gap = None

    def read(self, size: int) -> bytes:
        """Remove and return the first `size` bytes of the track, filled up with silence."""
        pcm = bytes(self._pcm[:size]).ljust(size, b"\0")
        del self._pcm[:size]
        self._read += size
        if self._gap is not None:
            self._gap = self._gap[0] - size, self._gap[1]
        return pcm

    def _lag(self, now: float) -> int:
        return int(now * SAMPLE_RATE) * SAMPLE_BYTES - self._read - len(self._pcm)


class Tracks:
    """Both tracks of a stereo recording: inbound (the caller) and outbound (the sound that the server sends)."""

    def __init__(self) -> None:
        self.inbound, self.outbound = Track(_GAP_TIMEOUT), Track()
        self._read = 0

    def read(self, now: float, last: bool, limit: int | None = None) -> tuple[bytes, bytes]:
        """Remove and return the audio of both tracks that is ready `now` seconds into the recording.

        The inbound and the outbound PCM have the same length, at most `limit` bytes each: a shorter track is
        filled up with silence. `last`: return all audio that is left.
        """
        tracks = (self.inbound, self.outbound)
        for track in tracks:
            track.resolve_gap(now, last)
        longest = max(map(len, tracks))
        due = int(now * SAMPLE_RATE) * SAMPLE_BYTES - self._read
        size = longest if last else max(min(track.settled for track in tracks), min(longest, due - _MAX_WAIT))
        size = max(size, longest - _MAX_PENDING)
        if not last:
            size = min([size, *(track.settled for track in tracks if track.settled < len(track))])
        if limit is not None:
            size = min(size, limit)
        self._read += size
        inbound, outbound = (track.read(size) for track in tracks)
        return inbound, outbound
