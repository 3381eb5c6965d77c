"""A spoken text, as segments of audio for a playlist. The text can be played while it is being synthesised."""

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

    `clips` are the parts synthesised so far. `on_abandoned` is called if all texts release the sentence before it
    is complete.
    """

    def __init__(self, on_abandoned: Callable[[], object] = lambda: None) -> None:
        self.clips: list[Clip] = []
        self.complete = False  # whether all audio is synthesised, or synthesis has failed
        self.error = ""  # why synthesis failed, if it did
        self.users = 0  # the number of `SpokenText`s that use the sentence
        self._on_abandoned = on_abandoned
        self._completed = asyncio.Event()

    @property
    def samples(self) -> int:
        """The length of the audio synthesised so far, in samples at 8 kHz."""
        return sum(clip.samples for clip in self.clips)

    def append_pcm(self, pcm: bytes) -> None:
        """Add audio: 16-bit PCM at 8 kHz, in whole samples."""
        self.clips.append(Clip(pcm))

    def finish(self, error: str = "") -> None:
        """Mark the sentence as complete, or as failed with an `error`."""
        self.complete, self.error = True, error
        self._completed.set()

    async def wait_complete(self) -> None:
        """Wait until the sentence is complete, or its synthesis has failed."""
        await self._completed.wait()

    def release(self) -> None:
        """Release the sentence for one text that used it. The last release may call `on_abandoned`."""
        self.users -= 1
        if not self.users and not self.complete:
            self._on_abandoned()


class SpokenText:
    """An iterable of a text's audio segments. Each sentence is synthesised while the sentence before it is played.

    A SpokenText can be iterated any number of times, because a playlist starts anew when the stream's encoding
    changes. Where the TTS engine fails, `fallback` is played in place of the remaining text, and `on_failure` is
    called once with the reason. Without a fallback, the playlist raises EngineError. A SpokenText that is
    garbage-collected releases its sentences, so that no engine synthesises them in vain.
    """

    def __init__(
        self,
        texts: Sequence[str],
        synthesise: Callable[[str], SentenceAudio],
        fallback: Segment | None = None,
        on_failure: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.texts = texts
        self.sentences: list[SentenceAudio] = []  # the sentences whose synthesis was requested so far
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
        """Begin to synthesise the first sentence ahead of its playback."""
        if self.texts:
            self._sentence(0)

    async def collect_pcm(self) -> bytes:
        """Wait for the text's whole PCM (16-bit, 8 kHz) and return it. Raises EngineError if the engine fails."""
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
        """Report the engine's failure, and return the fallback. Raises EngineError where there is no fallback."""
        if not self._failure_reported:
            self._failure_reported = True
            self._on_failure(why)
        if self._fallback is None:
            raise EngineError(why)
        return self._fallback


class _PendingFrames(NamedTuple):
    """`PendingFrames` made of two functions: whether the encoded frames exist yet, and their value."""

    done: Callable[[], bool]
    result: Callable[[], EncodedFrames | PendingFrames]


class _SentencePart:
    """A segment for one part of a sentence, which may not be synthesised yet.

    The segment is empty if the sentence turns out to have fewer parts.
    """

    name = "text"

    def __init__(self, sentence: SentenceAudio, part: int) -> None:
        self._sentence, self._part = sentence, part

    @property
    def samples(self) -> int:
        """The part's length in samples; 0 while the part is not synthesised yet."""
        return self._sentence.clips[self._part].samples if self._available else 0

    def get_frames(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        """The encoded frames of this part of the sentence; `PendingFrames` until the part is synthesised."""
        if self._available:
            return self._sentence.clips[self._part].get_frames(encoding)
        return _PendingFrames(lambda: self._available or self._sentence.complete, lambda: self._result(encoding))

    def _result(self, encoding: Encoding) -> EncodedFrames | PendingFrames:
        return self.get_frames(encoding) if self._available else _NO_FRAMES

    @property
    def _available(self) -> bool:
        return self._part < len(self._sentence.clips)


class _FailedRest:
    """A segment that plays the fallback in place of the remaining text, after the TTS engine has failed.

    The failure is reported when the segment's turn to be played has come, not when a playlist prepares the segment
    ahead. Where the caller hangs up before the segment's turn, no failure is reported.
    """

    samples = 0

    def __init__(self, spoken: SpokenText, why: str) -> None:
        self._spoken, self._why = spoken, why

    def get_frames(self, encoding: Encoding) -> PendingFrames:
        """Pending frames, whose result is the fallback's frames. Asking for the result reports the failure."""
        return _PendingFrames(lambda: True, lambda: self._spoken.take_fallback(self._why).get_frames(encoding))


def split_pcm(pcm: bytes, samples: int) -> Iterator[bytes]:
    """Cut 16-bit PCM into pieces of at most `samples` samples."""
    step = samples * SAMPLE_BYTES
    return (pcm[at : at + step] for at in range(0, len(pcm), step))
