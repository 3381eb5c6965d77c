"""Mixes the external media streams that a simulated caller hears into one signal. The module reads no clock."""

from collections.abc import Callable

import numpy as np

from mediaserver.audio.pcm import PTIME, Signal, from_bytes, to_bytes

_STALL = 10  # the number of frames by which a media stream may be late; if it is later, its audio has a gap


class Earpiece:
    """Puts the frames of each media stream into the call's timeline, 20 ms each, and mixes simultaneous frames.

    A stream's frames follow each other without a gap, whatever the jitter of their arrival, except after a stall.
    `on_frame` is called with each frame of the call in turn. `on_gap` is called with the length, in frames, of a
    time in which there was no media stream.
    """

    def __init__(self, on_frame: Callable[[bytes], None], on_gap: Callable[[int], None]) -> None:
        self._on_frame, self._on_gap = on_frame, on_gap
        # The place of each media stream's next frame, by the stream's number, in frames since the call began.
        self._next: dict[int, int] = {}
        # The frames of the call that still wait for audio of other media streams, by the frame's number in the
        # call.
        self._waiting: dict[int, bytes | Signal] = {}
        self._given = 0  # the number of the call's frames that were passed to `on_frame` or counted for `on_gap`

    def push(self, media: int, pcm: bytes, at: float) -> None:
        """Add a frame of PCM (320 bytes), which arrived `at` seconds after the call began."""
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
        """Note that a media stream has ended, so that frames of the call no longer wait for the stream's audio."""
        if self._next.pop(media, None) is not None:
            self._give(min(self._next.values(), default=max(self._waiting, default=-1) + 1))

    def finish(self, at: float) -> None:
        """Pass on all waiting frames, and the gap up to the end of the call, which ended at `at` seconds."""
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
