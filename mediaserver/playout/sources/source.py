"""Sources give a pacer the frames that it plays on a stream.

A source never sleeps, blocks or does I/O: it gives a frame whenever it is asked for one. `Source.iter_frames` is
an iterator of frames in the encoding of a stream. For a prompt, the iterator runs in C from the prompt's beginning
to its end; Python code runs only when one segment ends and the next begins.
"""

import asyncio
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.wire.encapsulation import Encoding

# Errors that a source may raise. A source raises CancelledError, which is no `Exception`, if it reads the result
# of a cancelled future.
SOURCE_FAULTS = (Exception, asyncio.CancelledError, GeneratorExit)


class PlaybackResult(NamedTuple):
    """How much of a source was played: the number of its frames, and whether it was played to its end."""

    frames: int
    complete: bool

    @property
    def seconds(self) -> float:
        """The duration of the played frames, in seconds."""
        return self.frames / FRAMES_PER_SECOND


class PendingFrames(Protocol):
    """Encoded frames that are still being made, such as a future of `EncodedFrames`."""

    def done(self) -> bool:
        """Whether the frames are made, or have failed to be made, so that `result` may be called."""

    def result(self) -> "EncodedFrames | PendingFrames":
        """The frames, or other pending frames to wait for; may raise an error. Call it once `done` is True."""


class Segment(Protocol):
    """A finite piece of audio in a playlist, such as a prompt, a clip, a second of a tone, part of a sentence."""

    @property
    def samples(self) -> int:
        """The segment's length, in samples at 8 kHz."""

    def get_frames(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        """Return the segment's frames in an encoding; while they are being made, a `PendingFrames` for them."""


LIVE = "live"  # the name that reports show for audio that is played as it arrives
SOUND = "sound"  # the name that reports show for a sound without its own name, such as a file that is no prompt


def name_of(segment: Segment | Iterable[Segment]) -> str:
    """The name that reports show while a segment plays: its `name`, such as a prompt's, or else "sound"."""
    return str(getattr(segment, "name", SOUND))


class Clip:
    """A segment made of PCM in memory (16-bit little-endian, 8 kHz, mono), which keeps its encoded frames."""

    def __init__(self, pcm: bytes, name: str = SOUND) -> None:
        self.pcm, self.name = pcm, name
        self.samples = len(pcm) // SAMPLE_BYTES
        self._encoded: dict[str, EncodedFrames] = {}

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The clip's frames in an encoding, which are made when this encoding is first asked for."""
        encoded = self._encoded.get(encoding.name)
        if encoded is None:
            encoded = self._encoded[encoding.name] = EncodedFrames(encoding.packetize(self.pcm), self.samples)
        return encoded


@lru_cache(maxsize=64)
def silence(ms: int) -> Clip:
    """A clip of silence, `ms` milliseconds long."""
    return Clip(bytes(ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES), name="")


class Source:
    """Frames to be played once, on one stream.

    The class itself plays an iterable of 320-byte frames of PCM (20 ms each). Subclasses for live audio override
    `__init__`, and subclasses that can begin at any frame override `iter_frames`.
    """

    underruns = 0  # frames of silence that the source has given because its audio was not there in time
    live = False  # whether the source plays audio as it arrives, so that it has more to play after `drop_audio`

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._frames = iter(frames)

    @property
    def playing(self) -> str:
        """The name of the sound that the source plays now, "" for silence."""
        return SOUND

    @property
    def title(self) -> str:
        """The name of the whole source, for reports after its end; "" for silence."""
        return LIVE if self.live else self.playing or SOUND

    @property
    def upcoming(self) -> bytes | None:
        """PCM that a live source plays next, some 10 ms or less, b"" for silence; None where it is not known."""
        return None

    @property
    def loops(self) -> bool:
        """Whether the source repeats audio for ever: such a source ends only when it is stopped."""
        return False

    def drop_audio(self) -> None:
        """Drop the audio that waits in a live source. What arrives later is played. Other sources do nothing."""

    @property
    def resumable(self) -> bool:
        """Whether the rest of the source is played later if another source interrupts it now."""
        return True

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The source's frames in an encoding, from frame `start` on.

        The method is called again while the source plays if the stream's encoding changes. A source that cannot
        seek, such as this class, ignores `start` and continues with its next frame.
        """
        return map(encoding.encode, map(_validated, self._frames))


def _validated(frame: bytes) -> bytes:
    """Return the frame; ValueError if its size is wrong, which would corrupt all frames after it on the wire."""
    if len(frame) != FRAME_BYTES:
        raise ValueError(f"a source gave a frame of {len(frame)} bytes, not {FRAME_BYTES}")
    return frame
