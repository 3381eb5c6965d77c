"""Sources: iterators of frames that a pacer plays.

A source never sleeps, blocks or does I/O: asked for a frame, it has one. `Source.iter_frames` gives it in the
encoding of a stream. For prompts that iterator runs in C from one end of a prompt to the other, and Python code
runs only where one segment ends and the next begins.
"""

import asyncio
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.wire.encapsulation import Encoding

# Errors that a source may raise. CancelledError comes from a cancelled future that the source reads, and is no
# `Exception`.
SOURCE_FAULTS = (Exception, asyncio.CancelledError, GeneratorExit)


class PlaybackResult(NamedTuple):
    """How much of a source was played: its frames, and whether these were all."""

    frames: int
    complete: bool

    @property
    def seconds(self) -> float:
        """The frames as a duration."""
        return self.frames / FRAMES_PER_SECOND


class PendingFrames(Protocol):
    """Encoded frames that are not there yet, such as a future of `EncodedFrames`."""

    def done(self) -> bool:
        """Whether `result` may be called."""

    def result(self) -> "EncodedFrames | PendingFrames":
        """The frames, once `done`, or other pending frames in their place. It may raise an error."""


class Segment(Protocol):
    """A finite piece of audio in a playlist: a prompt, a clip, a second of a tone, a part of a sentence."""

    @property
    def samples(self) -> int:
        """The segment's length, in samples at 8 kHz."""

    def get_frames(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        """The segment's frames in an encoding, or frames that are pending."""


class Clip:
    """A segment of PCM in memory (16-bit little-endian, 8 kHz, mono); it keeps its encoded frames."""

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm
        self.samples = len(pcm) // SAMPLE_BYTES
        self._encoded: dict[str, EncodedFrames] = {}

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The clip's frames, encoded the first time an encoding is asked for."""
        encoded = self._encoded.get(encoding.name)
        if encoded is None:
            encoded = self._encoded[encoding.name] = EncodedFrames(encoding.packetize(self.pcm), self.samples)
        return encoded


@lru_cache(maxsize=64)
def silence(ms: int) -> Clip:
    """A clip of silence, `ms` milliseconds long."""
    return Clip(bytes(ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES))


class Source:
    """Frames to be played once, on one stream.

    Made from an iterable of 320-byte frames (20 ms). A live source overrides `__init__`, and a source that can
    seek overrides `iter_frames`.
    """

    underruns = 0  # frames of silence given because the audio was not there yet

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._frames = iter(frames)

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The source's frames in an encoding, from frame `start`.

        Called again mid-way when the stream's encoding changes; a source that cannot seek, as here, ignores
        `start` and goes on.
        """
        return map(encoding.encode, map(_validated, self._frames))


def _validated(frame: bytes) -> bytes:
    """The frame; ValueError for a frame of another size, which would corrupt all that follows it on the wire."""
    if len(frame) != FRAME_BYTES:
        raise ValueError(f"a source gave a frame of {len(frame)} bytes, not {FRAME_BYTES}")
    return frame
