"""PCM encoded for the wire: one `bytes` object for each frame of 20 ms, in one encoding."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES
from mediaserver.wire.encapsulation import PCM, Encoding

_OBJECT_BYTES = 33 + 8  # the header of a bytes object, and its place in a list
_BLOCK_FRAMES = 250
# Bytes of PCM that are encoded between two turns of the loop: that takes well under a millisecond.
PCM_BLOCK_BYTES = _BLOCK_FRAMES * FRAME_BYTES


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """The frames of `samples` samples in one encoding; the last frame is padded with silence.

    Frames that are kept are a tuple, because garbage collection scans a long list again and again.
    """

    frames: Sequence[bytes]
    samples: int

    @property
    def size(self) -> int:
        """Bytes of memory, the interpreter's overhead per object included."""
        return len(self.frames) * (len(self.frames[0]) + _OBJECT_BYTES) if self.frames else 0


class FrameEncoder:
    """Encodes PCM into frames while it is being decoded, in several encodings at once."""

    def __init__(self, encodings: Iterable[Encoding]) -> None:
        self._encoded: list[tuple[Encoding, list[bytes]]] = [(encoding, []) for encoding in encodings]
        self.samples = 0

    async def feed_pcm(self, pcm: bytes) -> None:
        """Encode the next PCM: at most `PCM_BLOCK_BYTES`, and whole frames except at the end of the sound.

        The loop gets a turn after each encoding, so that streams keep playing.
        """
        self.samples += len(pcm) // SAMPLE_BYTES
        for encoding, frames in self._encoded:
            frames += encoding.packetize(pcm)
            await asyncio.sleep(0)

    @property
    def encoded(self) -> Mapping[str, EncodedFrames]:
        """The frames encoded so far, by the encoding's name."""
        return {encoding.name: EncodedFrames(tuple(frames), self.samples) for encoding, frames in self._encoded}


class _TranscodedFrames(Sequence[bytes]):
    """Frames of one encoding as those of another; each is transcoded when it is asked for."""

    def __init__(self, frames: Sequence[bytes], encoding: Encoding, base: Encoding) -> None:
        self._frames, self._encoding, self._base = frames, encoding, base

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return _TranscodedFrames(self._frames[index], self._encoding, self._base)
        return self._encoding.encode(self._base.decode(self._frames[index]))

    def __iter__(self) -> Iterator[bytes]:
        return map(self._encoding.encode, map(self._base.decode, self._frames))


def transcode_lazily(encoded: EncodedFrames, encoding: Encoding, base: Encoding = PCM) -> EncodedFrames:
    """Return at once frames of `base` as frames of `encoding`; each is transcoded only when it is played."""
    return EncodedFrames(_TranscodedFrames(encoded.frames, encoding, base), encoded.samples)


async def transcode(pcm: EncodedFrames, encoding: Encoding) -> EncodedFrames:
    """PCM frames as frames of another encoding, all transcoded now, with turns of the loop in between."""
    encoder = FrameEncoder((encoding,))
    for at in range(0, len(pcm.frames), _BLOCK_FRAMES):
        await encoder.feed_pcm(b"".join(map(PCM.decode, pcm.frames[at : at + _BLOCK_FRAMES])))
    return EncodedFrames(encoder.encoded[encoding.name].frames, pcm.samples)


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A decoded sound file that is no prompt, such as a recording, to be played once or twice."""

    pcm: EncodedFrames

    @property
    def samples(self) -> int:
        """The sound's length, in samples at 8 kHz."""
        return self.pcm.samples

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The sound's frames in an encoding; if it is not PCM, each frame is transcoded as it is played."""
        return self.pcm if encoding is PCM else transcode_lazily(self.pcm, encoding)
