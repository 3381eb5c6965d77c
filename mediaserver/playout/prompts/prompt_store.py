"""The store of all prompts' encoded frames: keeps them in memory up to a limit, and encodes others on demand."""

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from mediaserver.audio.level.levelling import PEAK_LIMIT, amplify
from mediaserver.audio.level.levels import amplitude_dbfs
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import AudioInfo, DecodePool
from mediaserver.playout.prompts.cache import LruCache
from mediaserver.playout.prompts.encoded_frames import EncodedFrames, FrameEncoder, transcode, transcode_lazily
from mediaserver.wire.encapsulation import ALAW, L16, MESSAGE, PCM, PCMA, PCMU, TCP, ULAW, Encoding

# Encodings by name, the lossless ones first.
ENCODINGS = {encoding.name: encoding for encoding in (PCM, MESSAGE, L16, TCP, PCMU, PCMA, ULAW, ALAW)}


@dataclass(eq=False, slots=True, weakref_slot=True)
class Prompt:
    """One sound file that can be played, with the content that it had when it was decoded.

    The prompt's encoded frames are in the store's cache until the file changes. Then they move to `detached`, so
    that streams can play them to the end, and they are freed with the last stream that may play them.
    """

    name: str
    path: Path
    samples: int
    info: AudioInfo
    store: "PromptStore" = field(repr=False)
    passed_over: tuple[str, ...] = ()  # other files with this prompt name, by their paths in the folder
    # The encoded frames by their encoding's name, once the prompt's file has changed; None before.
    detached: dict[str, EncodedFrames] | None = field(default=None, repr=False)
    gain: ClassVar[float] = 0.0  # dB by which the prompt is amplified: none, unlike an `AmplifiedPrompt`
    # The frames that the cache or any stream holds, by their encoding's name. This mapping itself keeps no frames.
    in_memory: WeakValueDictionary[str, EncodedFrames] = field(default_factory=WeakValueDictionary, repr=False)
    # The active speech level in dBov, SILENCE_DB for none; None until `PromptStore.measure_level` was called.
    level: asyncio.Future[float] | None = field(default=None, repr=False)

    def get_frames(self, encoding: Encoding) -> "EncodedFrames | asyncio.Future[EncodedFrames]":
        """The prompt's frames in an encoding, or a shared future of them while the file must be decoded again."""
        return self.store.get_frames(self, encoding)

    def describe(self) -> dict[str, Any]:
        """The facts that decoding found out about the prompt, with the keys of `check --json`."""
        return {
            "name": self.name,
            "duration_s": round(self.samples / SAMPLE_RATE, 3),
            "source": self.info.source,
            "peak_dbfs": round(self.info.peak_dbfs, 1),
            "loudness_lufs": round(self.info.loudness_lufs, 1),
        }

    def amplified(self, gain: float) -> "Prompt | AmplifiedPrompt":
        """The prompt amplified by `gain` dB, or by as much as its peaks allow; the prompt itself for no gain."""
        headroom = amplitude_dbfs(PEAK_LIMIT / FULL_SCALE) - self.info.peak_dbfs
        allowed = min(gain, max(0.0, math.floor(100 * headroom) / 100))
        return AmplifiedPrompt(self, allowed) if allowed else self


@dataclass(frozen=True, slots=True)
class AmplifiedPrompt:
    """A prompt that is played louder or softer. Its frames are made once for each gain and encoding, and kept."""

    prompt: Prompt
    gain: float  # dB by which the prompt is amplified

    @property
    def name(self) -> str:
        """The prompt's name."""
        return self.prompt.name

    @property
    def samples(self) -> int:
        """The prompt's length, in samples at 8 kHz."""
        return self.prompt.samples

    def get_frames(self, encoding: Encoding) -> "EncodedFrames | asyncio.Future[EncodedFrames]":
        """The amplified frames in an encoding, or a future of them while the file must be decoded again."""
        return self.prompt.store.get_frames(self.prompt, encoding, self.gain)


@lru_cache(maxsize=256)
def _amplifying(encoding: Encoding, gain: float) -> Encoding:
    """An encoding that amplifies PCM by `gain` dB before it encodes the PCM; `encoding` itself for no gain."""
    if not gain:
        return encoding

    def compand(pcm: bytes) -> bytes:
        return encoding.compand(to_bytes(amplify(from_bytes(pcm), gain)))

    return replace(encoding, name=f"{encoding.name} {gain:+.2f} dB", compand=compand)


class PromptStore:
    """Keeps the encoded frames of all prompts in at most `memory_limit` bytes of memory."""

    def __init__(self, memory_limit: int, pool: DecodePool) -> None:
        self.cache: LruCache[EncodedFrames] = LruCache(memory_limit)
        self._pool = pool
        # Futures of frames that are being encoded, by prompt and encoding's name.
        self._encoding: dict[tuple[Prompt, str], asyncio.Future[EncodedFrames]] = {}

    def get_frames(
        self, prompt: Prompt, encoding: Encoding, gain: float = 0.0
    ) -> EncodedFrames | asyncio.Future[EncodedFrames]:
        """A prompt's frames, amplified by `gain` dB: from memory, or transcoded as they are played; else a future.

        The future is done once the prompt's file has been decoded again. All callers share it.
        """
        name = _amplifying(encoding, gain).name
        found = self._in_memory(prompt, name)
        if found is not None:
            return found
        under_way = self._encoding.get((prompt, name))
        if under_way is None:
            under_way = self._start_encoding(prompt, encoding, gain)
        base = self._find_base(prompt, encoding, gain)
        return transcode_lazily(*base) if base is not None else under_way

    def put(self, prompt: Prompt, encoded: Mapping[str, EncodedFrames]) -> None:
        """Keep a prompt's encoded frames, given by the names of their encodings."""
        for name, frames in encoded.items():
            prompt.in_memory[name] = frames
            self.cache.put((prompt, name), frames)

    async def secure(self, prompt: Prompt) -> Sequence[EncodedFrames]:
        """Hold a prompt's frames in memory for as long as the caller keeps the returned frames.

        If they were evicted, the file is decoded again. The caller is about to change the file, and `detach` then
        finds the frames. The result is empty if the file cannot be decoded any more.
        """
        frames = list(prompt.in_memory.values())
        if self._find_base(prompt, PCM, 0.0) is None:
            with contextlib.suppress(PromptError):
                pcm = self.get_frames(prompt, PCM)
                frames.append(pcm if isinstance(pcm, EncodedFrames) else await asyncio.shield(pcm))
        return frames

    def detach(self, prompt: Prompt) -> Mapping[str, EncodedFrames]:
        """Move a prompt's frames from the cache to the prompt, because the prompt's file has changed.

        Streams play on with these frames. Frames that the cache has evicted are moved as well if a stream plays
        them. All other frames are lost, because decoding the file again would give the new sound.
        """
        if prompt.detached is None:
            prompt.detached = dict(prompt.in_memory)
            for name in prompt.detached:
                self.cache.pop((prompt, name))
        return prompt.detached

    async def measure_level(self, prompt: Prompt) -> float:
        """The prompt's active speech level in dBov (ITU-T P.56), SILENCE_DB for none. It is measured only once.

        Measuring takes long, and is needed only for the few prompts that are brought to a level. Therefore, a
        decoder process measures a prompt when its level is first asked for.
        """
        if prompt.level is None:
            prompt.level = asyncio.ensure_future(self._measure_level(prompt))
        return await asyncio.shield(prompt.level)

    async def _measure_level(self, prompt: Prompt) -> float:
        try:
            measured = await self._pool.measure(prompt.path)
        except PromptError:
            return prompt.info.loudness_lufs  # this loudness differs from the speech level by some tenths of a dB
        return prompt.info.loudness_lufs if prompt.detached is not None else float(measured["level"])

    def _in_memory(self, prompt: Prompt, name: str) -> EncodedFrames | None:
        """A prompt's frames by their encoding's name: from the cache, or evicted ones that a stream plays."""
        if prompt.detached is not None:
            return prompt.detached.get(name)
        cached = self.cache.get((prompt, name))
        if cached is None and (cached := prompt.in_memory.get(name)) is not None:
            self.cache.put((prompt, name), cached)
        return cached

    def _find_base(
        self, prompt: Prompt, encoding: Encoding, gain: float
    ) -> tuple[EncodedFrames, Encoding, Encoding] | None:
        """Find frames of a prompt in memory that can be transcoded to the wanted encoding and gain.

        Returns these frames, the encoding to transcode them to, and the encoding that they have.

        Lossless frames are preferred to those of G.711. While the prompt's file is unchanged, only lossless frames
        are returned, because the file can be decoded again without G.711's loss.
        """
        known = prompt.in_memory if prompt.detached is None else prompt.detached
        for base_gain, target in {0.0: _amplifying(encoding, gain), gain: encoding}.items():
            for own in ENCODINGS.values():
                name = _amplifying(own, base_gain).name
                if name not in known or (prompt.detached is None and own.sample_bytes != SAMPLE_BYTES):
                    continue
                frames = self._in_memory(prompt, name)
                if frames is not None:
                    return frames, target, own
        return None

    def _start_encoding(self, prompt: Prompt, encoding: Encoding, gain: float) -> asyncio.Future[EncodedFrames]:
        key = (prompt, _amplifying(encoding, gain).name)
        task = asyncio.get_running_loop().create_task(self._encode(prompt, encoding, gain))
        self._encoding[key] = task

        def finished(task: asyncio.Future[EncodedFrames]) -> None:
            del self._encoding[key]
            if not task.cancelled():
                task.exception()  # waiting streams raise the error; reading it here stops asyncio from logging it

        task.add_done_callback(finished)
        return task

    async def _encode(self, prompt: Prompt, encoding: Encoding, gain: float = 0.0) -> EncodedFrames:
        wanted = _amplifying(encoding, gain)
        base = self._find_base(prompt, encoding, gain)
        if base is None:
            _, encoder = await self._pool.decode(prompt.path, lambda: FrameEncoder((wanted,)))
            frames = encoder.encoded[wanted.name]
            if prompt.detached:  # the file has changed meanwhile: what was decoded may be the new sound
                base = self._find_base(prompt, encoding, gain)
        if base is not None:
            frames = await transcode(*base)
        if prompt.detached is not None:  # the prompt's file has changed while its frames were encoded
            prompt.detached[wanted.name] = frames
        else:
            self.put(prompt, {wanted.name: frames})
        return frames
