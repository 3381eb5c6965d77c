"""A text as runs of sound, for a playlist: played while it is still being spoken."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from mediaserver.audio.pcm import SAMPLE_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.items import Items
from mediaserver.playout.sources import Clip, Run
from mediaserver.wire.encapsulation import Encoding

_NOTHING = Items((), 0)


class Sentence:
    """The sound of one sentence, as it comes, shared by all who say it. `clips` are its parts so far."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.over = False  # nothing more comes
        self.error = ""  # why it broke off, if it did
        self._news = asyncio.Event()

    @property
    def samples(self) -> int:
        """Its length so far."""
        return sum(clip.samples for clip in self.clips)

    def add(self, pcm: bytes) -> None:
        """More of it has come: whole samples."""
        self.clips.append(Clip(pcm))
        self._tell()

    def finish(self, error: str = "") -> None:
        """That was all of it, or it broke off."""
        self.over, self.error = True, error
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, part: int) -> None:
        """Until that part is there, or never will be."""
        while len(self.clips) <= part and not self.over:
            await self._news.wait()

    async def finished(self) -> None:
        """Until it is over."""
        while not self.over:
            await self._news.wait()


class Spoken:
    """A text said aloud, sentence after sentence; each is begun when the one before it is asked for.

    It can be iterated any number of times, as a playlist does that changes its encoding in between. Where the
    engine fails, a `fallback` is heard in place of what is missing, and `failed` is told why; without a fallback
    the playlist breaks with an EngineError.
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
        self._broke_at: tuple[int, int] | None = None  # sentence and part that the fallback stands for

    def __iter__(self) -> Iterator[Run]:
        for number in range(len(self.texts)):
            sentence = self._sentence(number)
            if number + 1 < len(self.texts):
                self._sentence(number + 1)
            part = 0
            while part < len(sentence.clips) or not sentence.over or sentence.error:
                if self._broke_at is not None and self._broke_at < (number, part):
                    return
                yield _Part(self, number, part)
                part += 1

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
            self.sentences.append(self._begin(self.texts[len(self.sentences)]))
        return self.sentences[number]

    def instead(self, place: tuple[int, int], why: str) -> Run | None:
        """What is heard where a part is missing: the fallback in place of the first, nothing of the others."""
        if self._broke_at is None:
            self._broke_at = place
            self._failed(why)
            if self._fallback is None:
                raise EngineError(why)
        return self._fallback if place == self._broke_at else None


class _Part:
    """One part of a sentence, there or still to come."""

    def __init__(self, spoken: Spoken, number: int, part: int) -> None:
        self._spoken, self._place = spoken, (number, part)
        self._sentence, self._part = spoken.sentences[number], part

    @property
    def samples(self) -> int:
        """Its length, as far as is known."""
        clips = self._sentence.clips
        return clips[self._part].samples if self._part < len(clips) else 0

    def open(self, encoding: Encoding) -> "Items | asyncio.Future[Items]":
        """Its items, none of them where the sentence is over; a future where that is not known yet."""
        sentence = self._sentence
        if self._part < len(sentence.clips):
            return sentence.clips[self._part].open(encoding)
        if not sentence.over:
            return asyncio.ensure_future(self._open_soon(encoding))
        instead = self._spoken.instead(self._place, sentence.error) if sentence.error else None
        return instead.open(encoding) if instead is not None else _NOTHING

    async def _open_soon(self, encoding: Encoding) -> Items:
        await self._sentence.wait(self._part)
        opened = self.open(encoding)
        return opened if isinstance(opened, Items) else await opened


def pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    """Sound in pieces of at most so many samples."""
    step = size * SAMPLE_BYTES
    return (pcm[at : at + step] for at in range(0, len(pcm), step))
