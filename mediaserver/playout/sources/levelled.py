"""Prompts that are brought to a level (ITU-T P.56) when they are played, whatever level their files have."""

import asyncio
from dataclasses import dataclass

import structlog

from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.playout.decoding.conditioning import MOST_GAIN
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt
from mediaserver.playout.sources.source import PendingFrames, silence
from mediaserver.wire.encapsulation import Encoding

_RETRY_MS = 1000  # ms of silence played in place of frames that could not be made

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LevelledPrompt:
    """A segment: a prompt whose active speech level is brought to `level` dBov, as far as no peak clips.

    The frames are made once for each level and encoding, and kept. A prompt that has no speech level, because it
    is too short or too soft, is played as it is. Where the frames cannot be made, a second of silence takes their
    place: the segment never raises an error.
    """

    prompt: Prompt
    level: float

    @property
    def samples(self) -> int:
        """The prompt's length, in samples at 8 kHz."""
        return self.prompt.samples

    def get_frames(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        """The frames in an encoding, or a future while the prompt is measured, or its file is decoded again."""
        measured = self.prompt.level
        if measured is not None and measured.done():
            frames = self.amplified(measured.result()).get_frames(encoding)
            if isinstance(frames, EncodedFrames):
                return frames
        return asyncio.ensure_future(self.make_frames(encoding))

    async def make_frames(self, encoding: Encoding) -> EncodedFrames:
        """Measure the prompt, and make its frames in an encoding, unless there are such frames already."""
        try:
            measured = await self.prompt.store.measure_level(self.prompt)
            frames = self.amplified(measured).get_frames(encoding)
            return frames if isinstance(frames, EncodedFrames) else await asyncio.shield(frames)
        # The error is most likely a PromptError: the prompt's file is gone, and its frames were evicted.
        except Exception as error:
            log.warning("background replaced by silence", prompt=self.prompt.name, why=str(error))
            return silence(_RETRY_MS).get_frames(encoding)

    def amplified(self, measured: float) -> Prompt | AmplifiedPrompt:
        """The prompt brought to `level`, where `measured` is its file's level in dBov, or SILENCE_DB for none."""
        gain = min(self.level - measured, MOST_GAIN) if measured > SILENCE_DB else 0.0
        return self.prompt.amplified(round(gain, 2))
