"""The two sides of a stereo recording, in step: each is put on one clock, with silence where it had nothing."""

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

_SECOND = SAMPLE_RATE * SAMPLE_BYTES  # bytes
_LAG = _SECOND // 5  # a side that is further behind the clock when it goes on had a gap, or was held up
_DOUBT = 0.5  # seconds, after which what was only held up by the network has come
_WAIT = 10 * _SECOND  # how long one side waits for the other: longer holds of the network put them out of step
_MOST_WAIT = 60 * _SECOND  # and however much came of it too early


class Track:
    """One side. `doubt`: seconds to wait after a gap for what may only be late."""

    def __init__(self, doubt: float = 0.0) -> None:
        self._doubt = doubt
        self._pcm = bytearray()
        self._gap: tuple[int, float] | None = None  # where in it, and when it was seen
        self._least = 0  # bytes by which it was behind since then, at the best of times
        self._taken = 0  # bytes

    def __len__(self) -> int:
        return len(self._pcm)

    @property
    def ready(self) -> int:
        """Bytes whose place is certain."""
        return self._gap[0] if self._gap is not None else len(self._pcm)

    def add(self, pcm: bytes, now: float) -> None:
        """Add sound that came at `now` seconds of the recording."""
        lag = self._lag(now)
        if self._gap is None and lag > _LAG:
            self._gap, self._least = (len(self._pcm), now), lag
        self._pcm += pcm
        self._least = min(self._least, self._lag(now) + len(pcm))
        self.settle(now)

    def take_back(self, size: int) -> None:
        """The last bytes of it are not to be heard after all, as far as they are still here."""
        del self._pcm[max(0, len(self._pcm) - size) :]

    def settle(self, now: float, last: bool = False) -> None:
        """Where a gap turns out to be one, fill it with silence."""
        if self._gap is not None and (last or now - self._gap[1] >= self._doubt):
            if self._least > _LAG:
                at = self._gap[0]
                self._pcm[at:at] = bytes(self._least)
            self._gap = None

    def take(self, size: int) -> bytes:
        """The first bytes of it, silence where it has no more."""
        taken = bytes(self._pcm[:size]).ljust(size, b"\0")
        del self._pcm[:size]
        self._taken += size
        if self._gap is not None:
            self._gap = self._gap[0] - size, self._gap[1]
        return taken

    def _lag(self, now: float) -> int:
        return int(now * SAMPLE_RATE) * SAMPLE_BYTES - self._taken - len(self._pcm)


class Tracks:
    """What is heard, and what is said."""

    def __init__(self) -> None:
        self.heard, self.said = Track(_DOUBT), Track()
        self._taken = 0

    def take(self, now: float, last: bool, most: int | None = None) -> tuple[bytes, bytes]:
        """What both sides have, or would have by now; `last`: all. At most so many bytes of each."""
        sides = (self.heard, self.said)
        for side in sides:
            side.settle(now, last)
        longest = max(map(len, sides))
        due = int(now * SAMPLE_RATE) * SAMPLE_BYTES - self._taken
        size = longest if last else max(min(side.ready for side in sides), min(longest, due - _WAIT))
        size = max(size, longest - _MOST_WAIT)
        if not last:
            size = min([size, *(side.ready for side in sides if side.ready < len(side))])
        if most is not None:
            size = min(size, most)
        self._taken += size
        heard, said = (side.take(size) for side in sides)
        return heard, said
