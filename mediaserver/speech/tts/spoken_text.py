"""A text that is spoken, as runs of sound for a playlist. A run may play while it is still being synthesised."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mediaserver.audio.pcm import SAMPLE_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.source import Clip, PendingFrames, Segment
from mediaserver.wire.encapsulation import Encoding

_NO_FRAMES = EncodedFrames((), 0)


class SentenceAudio:
    """The audio of one sentence as it is synthesised, shared by all texts that contain the sentence.

    `clips` are the parts made so far. `on_abandoned` is called if all texts release the sentence before it is
    complete.
    """

    def __init__(self, on_abandoned: Callable[[], object] = lambda: None) -> None:
        self.clips: list[Clip] = []
        self.complete = False  # whether all audio is there, or synthesis has failed
        self.error = ""  # why synthesis failed, if it did
        self.users = 0  # the number of texts that hold the sentence
        self._on_abandoned = on_abandoned
        self._completed = asyncio.Event()

    @property
    def samples(self) -> int:
        """The sentence's length so far, in samples at 8 kHz."""
        return sum(clip.samples for clip in self.clips)

    def append_pcm(self, pcm: bytes) -> None:
        """Add audio: 16-bit PCM at 8 kHz, in whole samples."""
        self.clips.append(Clip(pcm))

    def finish(self, error: str = "") -> None:
        """Mark the sentence as complete, or as failed with an `error`."""
        self.complete, self.error = True, error
        self._completed.set()

    async def wait_complete(self) -> None:
        """Wait until no more audio comes."""
        await self._completed.wait()

    def release(self) -> None:
        """Release the sentence for one of the texts that hold it."""
        self.users -= 1
        if not self.users and not self.complete:
            self._on_abandoned()


class SpokenText:
    """A text's sentences as runs of sound. The next sentence is synthesised while the one before it plays.

    It can be iterated any number of times, because a playlist starts anew when its encoding changes. Where the
    engine fails, `fallback` is played in place of the rest, and `on_failure` is called once with the reason;
    without a fallback, the playlist raises EngineError. A SpokenText that is garbage-collected
    releases its sentences.
    """

    def __init__(
        self,
        texts: Sequence[str],
        synthesise: Callable[[str], SentenceAudio],
        fallback: Segment | None = None,
        on_failure: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.texts = texts
        self.sentences: list[SentenceAudio] = []  # sentences whose synthesis was asked for
        self._synthesise, self._fallback, self._on_failure = synthesise, fallback, on_failure
        self._failure_reported = False

    def __del__(self) -> None:
        for sentence in self.sentences:
            sentence.release()

    def __iter__(self) -> Iterator[Segment]:
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            if number + 1 < len(self.texts):
                self._sentence(number + 1)
            part = 0
            while part < len(sentence.clips) or not sentence.complete:
                yield _SentencePart(sentence, part)
                part += 1
            if sentence.error:
                yield _FailedRest(self, sentence.error)
                return

    def start_synthesis(self) -> None:
        """Begin to synthesise the first sentence, before it is played."""
        if self.texts:
            self._sentence(0)

    async def collect_pcm(self) -> bytes:
        """The text's audio, without a fallback: 16-bit PCM at 8 kHz. Raises EngineError where the engine fails."""
        clips: list[Clip] = []
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            await sentence.wait_complete()
            if sentence.error:
                raise EngineError(sentence.error)
            clips += sentence.clips
        return b"".join(clip.pcm for clip in clips)

    def _sentence(self, number: int) -> SentenceAudio:
        while len(self.sentences) <= number:
            sentence = self._synthesise(self.texts[len(self.sentences)])
            sentence.users += 1
            self.sentences.append(sentence)
        return self.sentences[number]

    def take_fallback(self, why: str) -> Segment:
        """Report a failure, and return what is played instead. Raises EngineError where there is no fallback."""
        if not self._failure_reported:
            self._failure_reported = True
            self._on_failure(why)
        if self._fallback is None:
            raise EngineError(why)
        return self._fallback


class _PendingFrames(NamedTuple):
    """Encoded frames that are not known yet (`PendingFrames`)."""

    done: Callable[[], bool]
    result: Callable[[], EncodedFrames | PendingFrames]


class _SentencePart:
    """One part of a sentence, perhaps not synthesised yet. It is empty if the sentence has fewer parts."""

    def __init__(self, sentence: SentenceAudio, part: int) -> None:
        self._sentence, self._part = sentence, part

    @property
    def samples(self) -> int:
        """The part's length in samples, 0 while it is not known."""
        return self._sentence.clips[self._part].samples if self._available else 0

    def get_frames(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        """The encoded frames of the part, or `PendingFrames` until it is synthesised."""
        if self._available:
            return self._sentence.clips[self._part].get_frames(encoding)
        return _PendingFrames(lambda: self._available or self._sentence.complete, lambda: self._result(encoding))

    def _result(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        return self.get_frames(encoding) if self._available else _NO_FRAMES

    @property
    def _available(self) -> bool:
        return self._part < len(self._sentence.clips)


class _FailedRest:
    """The rest of a text after a failure.

    The failure is reported when the fallback's turn to be played has come, not when a playlist opens it ahead.
    Where the caller hangs up before that, no failure is reported.
    """

    samples = 0

    def __init__(self, spoken: SpokenText, why: str) -> None:
        self._spoken, self._why = spoken, why

    def get_frames(self, encoding: Encoding) -> PendingFrames:
        """The fallback's encoded frames."""
        return _PendingFrames(lambda: True, lambda: self._spoken.take_fallback(self._why).get_frames(encoding))


def split_pcm(pcm: bytes, samples: int) -> Iterator[bytes]:
    """PCM in pieces of at most `samples` samples."""
    step = samples * SAMPLE_BYTES
    return (pcm[at : at + step] for at in range(0, len(pcm), step))
