"""The events that a peer sends, such as audio and digits. They are the same for every encapsulation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import numpy as np

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.pcm import FRAME_SAMPLES, Samples, Signal


class FrameLevels:
    """The levels of frames that were decoded together. Each kind is computed when it is first asked for."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples  # the samples of n frames, shape (n, 160)

    @cached_property
    def energies(self) -> Signal:
        """The sum of the squares of each frame's samples, shape (n,)."""
        signal = self._samples.astype(np.float64)
        energies: Signal = np.vecdot(signal, signal)
        return energies

    @cached_property
    def powers(self) -> Signal:
        """The mean square of each frame's samples, shape (n,)."""
        powers: Signal = self.energies / FRAME_SAMPLES
        return powers


# The class is not frozen: a call has fifty objects of it each second, and making a frozen object takes three times
# as long.
@dataclass(slots=True)
class Audio:
    """Audio from the peer: 16-bit little-endian PCM at 8 kHz, usually one frame of 320 bytes.

    If the frame was decoded in one batch with frames of other calls, `digits` are the DTMF digits that were found
    in the frame, `key_held` tells whether a key was held down at the end of the frame, `levels` has the levels
    of the batch, `row` is the frame's index in `levels`, and `fed` are the speech detectors that were given the
    frame already, and so were the meters of their listeners. For other frames, `digits` and `levels` are None,
    and `fed` is empty.
    """

    pcm: bytes
    concealed: bool = False  # whether `pcm` stands in for lost audio (packet loss concealment)
    digits: str | None = field(default=None, compare=False)
    key_held: bool = field(default=False, compare=False)
    levels: FrameLevels | None = field(default=None, compare=False)
    row: int = field(default=0, compare=False)
    fed: Sequence[SpeechDetector] = field(default=(), compare=False)

    @property
    def power(self) -> float | None:
        """The mean square of the samples; None if the frame was not decoded in a batch with other frames."""
        return float(self.levels.powers[self.row]) if self.levels is not None else None

    def feed_to(self, detector: SpeechDetector, tone: bool) -> bool:
        """Feed this audio to a speech detector; return whether the caller speaks.

        A detector that is in `fed` got the audio already, and is not fed again. `tone` tells whether the audio is
        a DTMF tone.
        """
        return detector.speaking if detector in self.fed else detector.feed(self.pcm, tone, self.power)


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF key that the caller pressed: one of `0-9 A-D * #`."""

    digit: str


@dataclass(frozen=True, slots=True)
class Tone:
    """A call-progress or fax tone in the peer's audio. However long a tone lasts, it is reported once.

    `tone` is `busy`, `congestion`, `ringback`, `sit`, `fax-cng` or `fax-ced`. It began `at_ms` milliseconds into
    the received audio.
    """

    tone: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Identity:
    """The UUID that the peer gives its stream (AudioSocket message of kind 0x01)."""

    uuid: UUID


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer has hung up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer reports an error of its own, with the peer's code for it (AudioSocket message of kind 0xff)."""

    code: int


Event = Audio | Digit | Tone | Identity | Hangup | Fault
