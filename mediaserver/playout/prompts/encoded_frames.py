"""Sound in the encoding of a wire format: one `bytes` object for each frame of 20 ms."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES
from mediaserver.wire.encapsulation import PCM, Encoding

_OBJECT_BYTES = 33 + 8  # bytes of memory for the header of a `bytes` object, and for its place in a list
_BLOCK_FRAMES = 250  # number of frames that are encoded between two turns of the event loop
# Bytes of PCM that are encoded between two turns of the event loop: this takes well under a millisecond.
PCM_BLOCK_BYTES = _BLOCK_FRAMES * FRAME_BYTES


@dataclass(frozen=True, slots=True, weakref_slot=True)
class EncodedFrames:
    """A sound's encoded frames of 20 ms. The last frame is padded with silence; `samples` does not count it.

    Frames that are kept for long are a tuple, because the garbage collector scans a long list again and again.
    """

    frames: Sequence[bytes]
    samples: int

    @property
    def size(self) -> int:
        """Bytes of memory that the frames take, including the interpreter's overhead for each object."""
        return len(self.frames) * (len(self.frames[0]) + _OBJECT_BYTES) if self.frames else 0


class FrameEncoder:
    """Encodes a sound file's PCM into frames, in several encodings at once, while the file is being decoded."""

    def __init__(self, encodings: Iterable[Encoding]) -> None:
        self._encoded: list[tuple[Encoding, list[bytes]]] = [(encoding, []) for encoding in encodings]
        self.samples = 0

    async def feed_pcm(self, pcm: bytes) -> None:
        """Encode the next block of PCM: at most `PCM_BLOCK_BYTES`, in whole frames except at the sound's end.

        The event loop gets a turn after each encoding, so that streams keep playing.
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
    """A sequence of frames that transcodes a frame from encoding `base` to `encoding` each time it is read."""

    def __init__(self, frames: Sequence[bytes], encoding: Encoding, base: Encoding, whole: EncodedFrames) -> None:
        self._frames, self._encoding, self._base = frames, encoding, base
        self._whole = whole  # the original frames: the store finds them while this reference holds them in memory

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return _TranscodedFrames(self._frames[index], self._encoding, self._base, self._whole)
        return self._encoding.encode(self._base.decode(self._frames[index]))

    def __iter__(self) -> Iterator[bytes]:
        return map(self._encoding.encode, map(self._base.decode, self._frames))


def transcode_lazily(encoded: EncodedFrames, encoding: Encoding, base: Encoding = PCM) -> EncodedFrames:
    """Return frames in `encoding` at once. Each is transcoded from the encoding `base` only when it is played."""
    return EncodedFrames(_TranscodedFrames(encoded.frames, encoding, base, encoded), encoded.samples)


async def transcode(encoded: EncodedFrames, encoding: Encoding, base: Encoding = PCM) -> EncodedFrames:
    """Transcode all frames from the encoding `base` to another now, with turns of the event loop in between."""
    encoder = FrameEncoder((encoding,))
    for at in range(0, len(encoded.frames), _BLOCK_FRAMES):
        await encoder.feed_pcm(b"".join(map(base.decode, encoded.frames[at : at + _BLOCK_FRAMES])))
    return EncodedFrames(encoder.encoded[encoding.name].frames, encoded.samples)


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A decoded sound file that is not a prompt, such as a recording, and is played once or twice only."""

    pcm: EncodedFrames

    @property
    def samples(self) -> int:
        """The sound's length, in samples at 8 kHz."""
        return self.pcm.samples

    def get_frames(self, encoding: Encoding) -> EncodedFrames:
        """The sound's frames in an encoding; for another encoding than PCM, each is transcoded as it is played."""
        return self.pcm if encoding is PCM else transcode_lazily(self.pcm, encoding)
