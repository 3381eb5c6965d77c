"""A text as runs of sound, for a playlist: played while it is still being spoken."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mediaserver.audio.pcm import SAMPLE_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.prompts.encoded_frames import Items
from mediaserver.playout.sources.source import Clip, Coming, Run
from mediaserver.wire.encapsulation import Encoding

_NOTHING = Items((), 0)


class Sentence:
    """The sound of one sentence, as it comes, shared by all who say it. `clips` are its parts so far.

    `unwanted` is called when the last of them has gone before it was over.
    """

    def __init__(self, unwanted: Callable[[], object] = lambda: None) -> None:
        self.clips: list[Clip] = []
        self.over = False  # nothing more comes
        self.error = ""  # why it broke off, if it did
        self.wanted = 0  # by so many
        self._unwanted = unwanted
        self._finished = asyncio.Event()

    @property
    def samples(self) -> int:
        """Its length so far."""
        return sum(clip.samples for clip in self.clips)

    def add(self, pcm: bytes) -> None:
        """More of it has come: whole samples."""
        self.clips.append(Clip(pcm))

    def finish(self, error: str = "") -> None:
        """That was all of it, or it broke off."""
        self.over, self.error = True, error
        self._finished.set()

    async def finished(self) -> None:
        """Until it is over."""
        await self._finished.wait()

    def leave(self) -> None:
        """One who wanted it does not wait for it any more."""
        self.wanted -= 1
        if not self.wanted and not self.over:
            self._unwanted()


class Spoken:
    """A text said aloud, sentence after sentence; each is begun when the one before it is asked for.

    It can be iterated any number of times, as a playlist does that changes its encoding in between. Where the
    engine fails, a `fallback` is heard in place of what is missing, and `failed` is told why; without a fallback
    the playlist breaks with an EngineError. When it is let go of, nobody waits for its sentences on its account.
    """

    def __init__(
        self,
        texts: Sequence[str],
        begin: Callable[[str], Sentence],
        fallback: Run | None = None,
        failed: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.texts = texts
        self.sentences: list[Sentence] = []  # begun so far
        self._begin, self._fallback, self._failed = begin, fallback, failed
        self._told = False  # why it failed

    def __del__(self) -> None:
        for sentence in self.sentences:
            sentence.leave()

    def __iter__(self) -> Iterator[Run]:
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            if number + 1 < len(self.texts):
                self._sentence(number + 1)
            part = 0
            while part < len(sentence.clips) or not sentence.over:
                yield _Part(sentence, part)
                part += 1
            if sentence.error:
                yield _Missing(self, sentence.error)
                return

    def begin(self) -> None:
        """Have the first sentence made ahead of time."""
        if self.texts:
            self._sentence(0)

    async def whole(self) -> bytes:
        """All of its sound, without a fallback; EngineError where some of it is missing."""
        clips: list[Clip] = []
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            await sentence.finished()
            if sentence.error:
                raise EngineError(sentence.error)
            clips += sentence.clips
        return b"".join(clip.pcm for clip in clips)

    def _sentence(self, number: int) -> Sentence:
        while len(self.sentences) <= number:
            sentence = self._begin(self.texts[len(self.sentences)])
            sentence.wanted += 1
            self.sentences.append(sentence)
        return self.sentences[number]

    def instead(self, why: str) -> Run:
        """What is heard in place of what is missing; EngineError where that is nothing."""
        if not self._told:
            self._told = True
            self._failed(why)
        if self._fallback is None:
            raise EngineError(why)
        return self._fallback


class _Later(NamedTuple):
    """Items that are not there yet."""

    done: Callable[[], bool]
    result: Callable[[], Items | Coming]


class _Part:
    """One part of a sentence, there or still to come; nothing where the sentence ends before it."""

    def __init__(self, sentence: Sentence, part: int) -> None:
        self._sentence, self._part = sentence, part

    @property
    def samples(self) -> int:
        """Its length, as far as is known."""
        return self._sentence.clips[self._part].samples if self._there else 0

    def open(self, encoding: Encoding) -> Items | Coming:
        """Its items, there or to come."""
        if self._there:
            return self._sentence.clips[self._part].open(encoding)
        return _Later(lambda: self._there or self._sentence.over, lambda: self._settled(encoding))

    def _settled(self, encoding: Encoding) -> Items | Coming:
        return self.open(encoding) if self._there else _NOTHING

    @property
    def _there(self) -> bool:
        return self._part < len(self._sentence.clips)


class _Missing:
    """What an engine failed to say: what is heard instead is settled when it is its turn, not before."""

    samples = 0

    def __init__(self, spoken: Spoken, why: str) -> None:
        self._spoken, self._why = spoken, why

    def open(self, encoding: Encoding) -> Coming:
        """What is heard instead."""
        return _Later(lambda: True, lambda: self._spoken.instead(self._why).open(encoding))


def pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    """Sound in pieces of at most so many samples."""
    step = size * SAMPLE_BYTES
    return (pcm[at : at + step] for at in range(0, len(pcm), step))
