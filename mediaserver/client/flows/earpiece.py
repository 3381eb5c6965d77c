"""Joins what the caller hears of several external medias into one sound, without a clock of its own."""

from collections.abc import Callable

import numpy as np

from mediaserver.audio.pcm import PTIME, Signal, from_bytes, to_bytes

_STALL = 10  # frames by which a media may lag behind the call; a longer lag becomes a gap


class Earpiece:
    """Puts the frames of each media into the timeline of the call, at 20 ms each, and mixes those of one time.

    Frames of a media follow each other without a gap, whatever the jitter of their arrival; only after a stall
    there is one. `on_frame` is called with each frame of the call in turn, and `on_gap` with a number of frames in
    which no media was there.
    """

    def __init__(self, on_frame: Callable[[bytes], None], on_gap: Callable[[int], None]) -> None:
        self._on_frame, self._on_gap = on_frame, on_gap
        self._next: dict[
            int, int
        ] = {}  # for each media that lasts, the number of the frame of the call that comes next
        self._waiting: dict[int, bytes | Signal] = {}  # frames by their place, until no media adds to them
        self._given = 0  # frames of the call that were given to `on_frame` and `on_gap`

    def push(self, media: int, pcm: bytes, at: float) -> None:
        """Add a frame of PCM (320 bytes), which came `at` seconds after the call began."""
        now = int(at / PTIME)
        place = self._next.get(media, now)
        place = max(self._given, now if place < now - _STALL else place)
        self._next[media] = place + 1
        before = self._waiting.get(place)
        if before is None:
            self._waiting[place] = pcm
        else:
            sound = from_bytes(before).astype(np.float64) if isinstance(before, bytes) else before
            self._waiting[place] = sound + from_bytes(pcm)
        self._give(max(min(self._next.values()), now - _STALL))

    def media_ended(self, media: int) -> None:
        """No more frames of this media will come."""
        if self._next.pop(media, None) is not None:
            self._give(min(self._next.values(), default=max(self._waiting, default=-1) + 1))

    def finish(self, at: float) -> None:
        """Give what waits, and the gap up to the end of the call, at `at` seconds."""
        self._next.clear()
        self._give(max(int(at / PTIME), max(self._waiting, default=-1) + 1))

    def _give(self, end: int) -> None:
        """Pass on all frames of the call before frame number `end`."""
        for place in sorted(place for place in self._waiting if place < end):
            self._give_gap(place)
            frame = self._waiting.pop(place)
            if not isinstance(frame, bytes):
                frame = to_bytes(np.clip(frame, -32768, 32767).astype(np.int16))
            self._on_frame(frame)
            self._given = place + 1
        if not self._next:
            self._give_gap(end)

    def _give_gap(self, end: int) -> None:
        if end > self._given:
            self._on_gap(end - self._given)
            self._given = end
