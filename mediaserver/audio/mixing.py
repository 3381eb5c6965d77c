"""Mixes PCM of 16 bits frame by frame, and lowers ("ducks") one sound while another one is heard.

The functions take and return bytes, and work by `audioop`, which adds two frames of 20 ms in a tenth of the time
that numpy takes.
"""

import audioop

import numpy as np

from mediaserver.audio.pcm import FRAME_SAMPLES, FULL_SCALE, SAMPLE_BYTES, from_bytes, to_bytes

QUIET_PEAK = round(FULL_SCALE * 10 ** (-54 / 20))  # the highest magnitude that counts as silence: -54 dB
_FALL, _RISE = 1 / 5, 1 / 20  # fall and rise of a ducked sound's gain per frame: to 0 in 100 ms, to 1 in 400 ms
_HOLD = 15  # silent frames (300 ms) of the other sound until a ducked sound gets louder: longer than between words
_RAMP = np.arange(1, FRAME_SAMPLES + 1) / FRAME_SAMPLES


def add(frame: bytes, other: bytes) -> bytes:
    """The sum of two frames of the same size. A sum that would not fit into 16 bits is clipped."""
    return audioop.add(frame, other, SAMPLE_BYTES)


def scale(frame: bytes, factor: float) -> bytes:
    """A frame times a factor, each sample rounded down, and clipped where it would not fit into 16 bits."""
    return audioop.mul(frame, SAMPLE_BYTES, factor)


def amplify_ramp(frame: bytes, start: float, end: float) -> bytes:
    """A frame of 320 bytes, times a factor that goes in a straight ramp from `start` to `end`.

    Each sample is rounded to the nearest value, and clipped where it would not fit into 16 bits.
    """
    amplified = np.rint(from_bytes(frame) * (start + (end - start) * _RAMP))
    return to_bytes(np.clip(amplified, -32768, 32767).astype(np.int16))


class Ducker:
    """Mixes a sound under another one: the sound is lowered by `ducking` dB while the other one is heard.

    The sound's gain begins at 0, and changes in straight ramps, so that nothing clicks.
    """

    __slots__ = ("_hold", "_lowered", "gain")

    def __init__(self, ducking: float) -> None:
        self._lowered = float(10 ** (-ducking / 20))
        self._hold = 0  # number of frames for which the ducked sound still stays low
        self.gain = 0.0  # the present gain of the ducked sound, a factor from 0 to 1

    @property
    def is_raised(self) -> bool:
        """Whether the sound is at its full level, so that its frames need no change while it is heard alone."""
        return self.gain == 1.0 and not self._hold

    def mute(self) -> None:
        """Set the gain to 0, because there is a gap in the ducked sound."""
        self.gain = 0.0

    def mix(self, other: bytes, frame: bytes) -> bytes:
        """The ducked sound's next frame at its gain, plus a frame of the other sound, of 320 bytes each."""
        is_heard = audioop.max(other, SAMPLE_BYTES) > QUIET_PEAK
        if is_heard and self.gain == self._lowered:  # the usual case: the sound is lowered already
            self._hold = _HOLD
            return audioop.add(other, audioop.mul(frame, SAMPLE_BYTES, self.gain), SAMPLE_BYTES)
        if is_heard:
            self._hold = _HOLD + 1  # one more than _HOLD, because `apply` subtracts 1 for this frame
        return add(other, self.apply(frame))

    def apply(self, frame: bytes) -> bytes:
        """The ducked sound's next frame of 320 bytes at its gain, while the other sound is not heard."""
        target, before = 1.0, self.gain
        if self._hold:
            self._hold -= 1
            target = self._lowered
        if before == target:
            return frame if target == 1.0 else self.scale(frame)
        self.gain = max(target, before - _FALL) if target < before else min(target, before + _RISE)
        return amplify_ramp(frame, before, self.gain)

    def scale(self, frame: bytes) -> bytes:
        """A frame of the ducked sound at its present gain, each sample rounded down."""
        return scale(frame, self.gain)
