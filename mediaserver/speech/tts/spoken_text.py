"""A spoken text, as segments of audio for a playlist. The text can be played while it is being synthesised."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.source import Clip, PendingFrames, Segment
from mediaserver.wire.encapsulation import Encoding

_NO_FRAMES = EncodedFrames((), 0)


class SentenceAudio:
    """The audio of one sentence as it is synthesised, shared by all texts that contain the sentence.

    `clips` are the parts synthesised so far. `on_abandoned` is called if all texts release the sentence before it
    is complete.

    If an engine dies in mid-sentence, another engine speaks the whole sentence anew. `restarted_at` is then the
    index of the new engine's first clip, and the clips before this index are a broken start.
    """

    def __init__(self, on_abandoned: Callable[[], object] = lambda: None) -> None:
        self.clips: list[Clip] = []
        self.restarted_at = 0
        self.complete = False  # whether the whole sentence is synthesised, or its synthesis has failed
        self.error = ""  # why the synthesis has failed; "" if it has not
        self.users = 0  # the number of `SpokenText`s that use the sentence
        self._on_abandoned = on_abandoned
        self._begun, self._completed = asyncio.Event(), asyncio.Event()

    @property
    def samples(self) -> int:
        """The length of the audio synthesised so far, in samples at 8 kHz."""
        return sum(clip.samples for clip in self.clips)

    def append_pcm(self, pcm: bytes) -> None:
        """Add audio: 16-bit PCM at 8 kHz, in whole samples."""
        self.clips.append(Clip(pcm))
        self._begun.set()

    def restart(self) -> None:
        """Mark the clips so far as a broken start, because another engine now speaks the whole sentence."""
        self.restarted_at = len(self.clips)

    def without_broken_start(self) -> "SentenceAudio":
        """The sentence as the last engine has spoken it: this object, or a copy if there was a restart."""
        if not self.restarted_at:
            return self
        copy = SentenceAudio()
        copy.clips = self.clips[self.restarted_at :]
        copy.finish()
        return copy

    def finish(self, error: str = "") -> None:
        """Mark the sentence as complete, or as failed with an `error`."""
        self.complete, self.error = True, error
        self._begun.set()
        self._completed.set()

    @property
    def has_begun(self) -> bool:
        """Whether there is some audio, or synthesis has failed."""
        return self._begun.is_set()

    async def wait_begun(self) -> None:
        """Wait until there is some audio, or synthesis has failed."""
        await self._begun.wait()

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
    changes. If the TTS engine fails, `fallback` is played in place of the remaining text, and `on_failure` is
    called once with the reason. Without a fallback, the playlist raises EngineError. A SpokenText that is
    garbage-collected releases its sentences, so that no engine synthesises them in vain.

    If an engine dies in mid-sentence, another engine speaks the whole sentence anew. A caller who has not heard
    any of the broken sentence hears the new one only. A caller who has heard a part hears the broken sentence
    until the first audio of the new one is there; then the broken sentence fades out, and the new one plays from
    its beginning. Playback does not continue in the middle of the new sentence, because it is not known at which
    word the broken sentence ended, and a word or a digit could be lost.
    """

    name = "text"

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
        self._passages: dict[int, _Passage] = {}  # the played clips of each sentence, by the sentence's index

    def __del__(self) -> None:
        for sentence in self.sentences:
            sentence.release()

    def __iter__(self) -> Iterator[Segment]:
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            if number + 1 < len(self.texts):
                self._sentence(number + 1)
            passage, part = self._passages.setdefault(number, _Passage(sentence)), 0
            while passage.may_have(part):
                yield _SentencePart(passage, part)
                part += 1
            if sentence.error:
                yield _FailedRest(self, sentence.error)
                return
        self._passages = {}  # the next iteration plays the whole text anew, without clips of broken starts

    @property
    def has_begun(self) -> bool:
        """Whether the text's first audio is there, or its synthesis has failed. Begins to synthesise the text."""
        return not self.texts or self._sentence(0).has_begun

    async def wait_begun(self) -> None:
        """Wait until the text's first audio is there, or its synthesis has failed."""
        await self._sentence(0).wait_begun()

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
            clips += sentence.clips[sentence.restarted_at :]
        return b"".join(clip.pcm for clip in clips)

    def _sentence(self, number: int) -> SentenceAudio:
        while len(self.sentences) <= number:
            sentence = self._synthesise(self.texts[len(self.sentences)])
            sentence.users += 1
            self.sentences.append(sentence)
        return self.sentences[number]

    def take_fallback(self, why: str) -> Segment:
        """Report the engine's failure, and return the fallback. Raises EngineError if there is no fallback."""
        if not self._failure_reported:
            self._failure_reported = True
            self._on_failure(why)
        if self._fallback is None:
            raise EngineError(why)
        return self._fallback


class _PendingFrames(NamedTuple):
    """Frames that may not exist yet: `done` returns whether they exist, and `result` returns the frames."""

    done: Callable[[], bool]
    result: Callable[[], EncodedFrames | PendingFrames]


class _Passage:
    """The playback of one sentence in one text, clip by clip. The next clip is chosen only when it is due.

    The clips that were played are remembered, so that a playlist that starts anew in the middle of a text gets
    the same clips again.
    """

    def __init__(self, sentence: SentenceAudio) -> None:
        self._sentence = sentence
        self._played: list[Clip] = []
        self._index = 0  # the index, among the sentence's clips, of the clip to play next

    def may_have(self, number: int) -> bool:
        """Whether the clip with this number, counted from 0, exists or may still be synthesised."""
        return self.has(number) or not self._sentence.complete

    def has(self, number: int) -> bool:
        """Whether the clip with this number can be played."""
        return number < len(self._played) + len(self._sentence.clips) - self._next_index

    @property
    def is_complete(self) -> bool:
        """Whether no more clips are added to the sentence."""
        return self._sentence.complete

    def get(self, number: int) -> Clip | None:
        """The clip with this number, counted from 0; None if it is missing. The clip due next is chosen now.

        If another engine has restarted the sentence during its playback, the next clip fades out the broken start,
        and the clips of the other engine follow.
        """
        clips, restarted_at, index = self._sentence.clips, self._sentence.restarted_at, self._next_index
        if number == len(self._played) and index < len(clips):
            fades = index < restarted_at < len(clips)
            self._index = restarted_at if fades else index + 1
            self._played.append(_faded_end(clips[index]) if fades else clips[index])
        return self._played[number] if number < len(self._played) else None

    @property
    def _next_index(self) -> int:
        """The index of the clip to play next. If no clip was played yet, a broken start is skipped."""
        return self._index if self._played else self._sentence.restarted_at


def _faded_end(clip: Clip) -> Clip:
    """The first frame of a clip, faded out within 5 ms."""
    return Clip(fade_out(clip.pcm[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")))


class _SentencePart:
    """A segment for one part of a sentence, which may not be synthesised yet.

    The segment is empty if the sentence turns out to have fewer parts.
    """

    name = "text"
    samples = 0  # the segment's length; 0, because the length is not known before the part is played

    def __init__(self, passage: _Passage, part: int) -> None:
        self._passage, self._part = passage, part

    def get_frames(self, encoding: Encoding) -> PendingFrames:
        """The part's frames, which may not exist yet. The clip is chosen only when the frames are asked for."""
        return _PendingFrames(
            lambda: self._passage.has(self._part) or self._passage.is_complete, lambda: self._result(encoding)
        )

    def _result(self, encoding: Encoding) -> EncodedFrames:
        clip = self._passage.get(self._part)
        return clip.get_frames(encoding) if clip is not None else _NO_FRAMES


class _FailedRest:
    """A segment that plays the fallback in place of the remaining text, after the TTS engine has failed.

    The failure is reported when the segment's turn to be played has come, not when a playlist prepares the segment
    ahead. If the caller hangs up before the segment's turn, no failure is reported.
    """

    samples = 0

    def __init__(self, spoken: SpokenText, why: str) -> None:
        self._spoken, self._why = spoken, why

    def get_frames(self, encoding: Encoding) -> PendingFrames:
        """The fallback's frames, as pending frames. When their `result` is called, the failure is reported."""
        return _PendingFrames(lambda: True, lambda: self._spoken.take_fallback(self._why).get_frames(encoding))


def split_pcm(pcm: bytes, samples: int) -> Iterator[bytes]:
    """Cut 16-bit PCM into pieces of at most `samples` samples."""
    step = samples * SAMPLE_BYTES
    return (pcm[at : at + step] for at in range(0, len(pcm), step))
