"""Brings spoken texts to the level of the prompts, and removes their DC offset, as sentences are synthesised.

A sentence that comes whole is conditioned as a prompt is. A sentence that is played while the engine still speaks
it has the gain that the voice's sentences before it needed, and the first sentence of a voice that of its first
syllables. Nothing is clipped: where a peak would be, the gain falls just before it, and stays low to the
sentence's end.
"""

import asyncio
import math
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from mediaserver.audio.level import edges
from mediaserver.audio.level.levelling import PEAK_LIMIT
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE, from_bytes, to_bytes
from mediaserver.playout.decoding.conditioning import ConditionedSound, condition
from mediaserver.playout.decoding.options import Conditioning

# The number of samples (0.4 s) after a sentence's leading silence that are enough to measure a voice's level.
MEASURABLE = SAMPLE_RATE * 4 // 10
_SILENCE = -50.0  # the level in dBov up to which a sentence's beginning counts as leading silence
# The most dB by which the first syllables of a streamed sentence have it amplified: a breath must not.
_MOST_ESTIMATED = 6.0
_WEIGHT = 0.25  # weight of a voice's latest sentence in the voice's gain
_MOST_VOICES = 64  # the number of voices whose correction is remembered


class Correction(NamedTuple):
    """What is done to a voice's samples: `offset` is subtracted from each, and `gain` dB amplify them."""

    offset: int = 0
    gain: float = 0.0


_NONE = Correction()


class TextLevels:
    """Levels the sentences of all voices of one server, and remembers what each voice needs.

    `loudness` is the active speech level of sentences in dBov (ITU-T P.56); None keeps the engines' own levels.
    """

    def __init__(self, loudness: float | None = None) -> None:
        self._how = Conditioning(loudness)
        self._voices: OrderedDict[str, Correction] = OrderedDict()  # by whole sentences
        self._estimates: dict[str, Correction] = {}  # of voices without a whole sentence yet, by first syllables

    def begin_sentence(self, voice: str) -> "SentenceLeveller":
        """A leveller for the next sentence of a voice. All voices of all engines must have different names."""
        known = self._voices.get(voice) or self._estimates.get(voice)
        if known is None and self._how.loudness is None:
            known = _NONE
        return SentenceLeveller(self, voice, known)

    async def level(self, pcm: bytes) -> bytes:
        """A whole sentence at its level. PCM that needs no change is returned unchanged."""
        return (await self.condition(pcm))[0]

    async def condition(self, pcm: bytes) -> tuple[bytes, Correction]:
        """PCM at its level, and the correction that this was."""
        samples = from_bytes(pcm)
        if self._how.loudness is None:
            done: ConditionedSound = condition(samples, self._how)
        else:  # measuring takes milliseconds: a thread does it, so that no stream's frame is late
            done = await asyncio.to_thread(condition, samples, self._how)
        levelled = pcm if done.samples is samples else to_bytes(done.samples)
        return levelled, Correction(done.offset, done.gain)

    def estimate(self, voice: str, correction: Correction) -> None:
        """Remember a voice's correction by the beginning of a sentence, until a whole sentence is known."""
        if voice not in self._voices and len(self._estimates) < _MOST_VOICES:
            self._estimates[voice] = correction

    def learn(self, voice: str, correction: Correction) -> None:
        """Remember a voice's correction by a whole sentence: the gain is an average over sentences.

        A gain of 0 comes from a sentence that has no speech level, and tells nothing of the voice.
        """
        if not correction.gain and self._how.loudness is not None:
            return
        self._estimates.pop(voice, None)
        before = self._voices.pop(voice, correction)
        gain = before.gain + _WEIGHT * (correction.gain - before.gain)
        self._voices[voice] = Correction(correction.offset, gain)
        if len(self._voices) > _MOST_VOICES:
            self._voices.popitem(last=False)


class SentenceLeveller:
    """Levels one sentence, piece by piece. All PCM is 16-bit, 8 kHz, mono, in whole samples."""

    def __init__(self, levels: TextLevels, voice: str, known: Correction | None) -> None:
        self._levels, self._voice, self._known = levels, voice, known
        self._received = bytearray()  # all of the sentence so far, as the engine gave it
        self._correction: Correction | None = None  # None while pieces are held back
        self._factor = 1.0  # the present gain, as a factor
        self._measured = 0  # the number of bytes at the sentence's beginning that decided the correction

    @property
    def received(self) -> bytes:
        """All of the sentence so far, as the engine gave it."""
        return bytes(self._received)

    async def feed(self, pcm: bytes) -> bytes:
        """The sentence's next piece at its level; b"" while pieces are held back until they can be measured."""
        self._received += pcm
        if self._correction is not None:
            return self._correct(pcm)
        if self._is_measurable():
            return await self._begin_measured(math.inf if len(pcm) == len(self._received) else _MOST_ESTIMATED)
        if self._known is None:
            return b""
        self._begin(self._known)
        return self._correct(self.received)

    async def flush(self) -> bytes:
        """The pieces that are still held back at the sentence's end."""
        return await self._begin_measured(math.inf) if self._correction is None and self._received else b""

    async def finish(self) -> bytes | None:
        """Learn what the voice needs from the whole sentence.

        Returns the sentence's PCM at its own level if it was not levelled as a whole, and None if it was.
        """
        if self._correction is not None and self._measured == len(self._received):
            self._levels.learn(self._voice, self._correction)
            return None
        levelled, correction = await self._levels.condition(self.received)
        self._levels.learn(self._voice, correction)
        return levelled

    def _is_measurable(self) -> bool:
        """Whether there is enough sound to measure the sentence's own level."""
        if len(self._received) < MEASURABLE * SAMPLE_BYTES:
            return False
        samples = from_bytes(self.received)
        return len(samples) - edges.silence_at_edges(samples, _SILENCE)[0] >= MEASURABLE

    async def _begin_measured(self, most: float) -> bytes:
        """Level what there is of the sentence by its own level, and the rest likewise: by at most `most` dB."""
        levelled, correction = await self._levels.condition(self.received)
        estimate = correction._replace(gain=min(correction.gain, most))
        self._levels.estimate(self._voice, estimate)
        self._begin(estimate)
        if estimate != correction:
            return self._correct(self.received)
        self._measured = len(self._received)
        return levelled

    def _begin(self, correction: Correction) -> None:
        self._correction, self._factor = correction, float(10 ** (correction.gain / 20))

    def _correct(self, pcm: bytes) -> bytes:
        """A piece with the present correction. The gain falls in front of a sample that would be clipped."""
        if self._correction is None or self._correction == _NONE:
            return pcm
        signal = from_bytes(pcm).astype(np.float64) - self._correction.offset
        magnitudes = np.abs(signal)
        highest = float(magnitudes.max(initial=0.0))
        if highest * self._factor <= PEAK_LIMIT:
            return to_bytes(np.rint(signal * self._factor).astype(np.int16))
        lowered = PEAK_LIMIT / highest
        first = int(np.argmax(magnitudes * self._factor > PEAK_LIMIT))
        signal[:first] *= np.linspace(self._factor, lowered, first, endpoint=False)
        signal[first:] *= lowered
        self._factor = lowered
        return to_bytes(np.rint(signal).astype(np.int16))
