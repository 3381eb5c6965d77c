"""Sources: iterators of frames that a pacer plays.

A source never sleeps, blocks or does I/O: asked for a frame, it has one. `Source.items` gives it in the encoding
of a stream; for prompts that iterator runs in C from one end of a prompt to the other, and Python only turns up
where one run of sound ends and the next begins.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import NamedTuple, Protocol

from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.playout.prompts.encoded_frames import Items
from mediaserver.wire.encapsulation import Encoding

# What a source may raise, besides the end of its frames: a cancelled future that it reads is no `Exception`.
SOURCE_FAULTS = (Exception, asyncio.CancelledError, GeneratorExit)


class Heard(NamedTuple):
    """How much of a source went out: frames of it, and whether that was all."""

    frames: int
    complete: bool

    @property
    def seconds(self) -> float:
        """Frames as a duration."""
        return self.frames / FRAMES_PER_SECOND


class Coming(Protocol):
    """Items that are not there yet, such as a future of them."""

    def done(self) -> bool:
        """Whether it is known what they are."""

    def result(self) -> "Items | Coming":
        """What they are, once that is known, or what is to come instead. It may raise."""


class Run(Protocol):
    """A finite run of sound: a prompt, or a clip."""

    @property
    def samples(self) -> int:
        """Its length."""

    def open(self, encoding: Encoding) -> Items | Coming:
        """Its items, there or to come."""


class Clip:
    """A run of sound made in memory, its items kept with it."""

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm
        self.samples = len(pcm) // SAMPLE_BYTES
        self._items: dict[str, Items] = {}

    def open(self, encoding: Encoding) -> Items:
        """Its items, made the first time an encoding is asked for."""
        items = self._items.get(encoding.name)
        if items is None:
            items = self._items[encoding.name] = Items(encoding.packetize(self.pcm), self.samples)
        return items


@lru_cache(maxsize=64)
def silence(ms: int) -> Clip:
    """A run of silence."""
    return Clip(bytes(ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES))


class Source:
    """Frames to be played once, on one stream.

    Made from an iterable of 320-byte frames; a live source overrides `__init__`, a seekable one `items`.
    """

    underruns = 0  # frames of silence given because the sound was not there yet

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._frames = iter(frames)

    def items(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """Its items from frame `start`. Asked again mid-way, in another encoding; one that cannot seek goes on."""
        return map(encoding.encode, map(_whole, self._frames))


def _whole(frame: bytes) -> bytes:
    """A frame of any other size would corrupt all that follows it on the wire."""
    if len(frame) != FRAME_BYTES:
        raise ValueError(f"a source gave a frame of {len(frame)} bytes, not {FRAME_BYTES}")
    return frame


class Playlist(Source):
    """Runs of sound end to end, gapless to the sample.

    `runs` is iterated anew each time `items` is asked; it may be endless. `start` frames are left out at the
    beginning. A run that must still be decoded is silence meanwhile, counted as underruns.
    """

    def __init__(self, runs: Iterable[Run], start: int = 0) -> None:
        self._runs = runs
        self._start = start

    def items(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """Its items from frame `start`."""
        return chain.from_iterable(self._parts(encoding, self._start + start))

    def _parts(self, encoding: Encoding, skip: int) -> Iterator[Iterable[bytes]]:
        joiner = _Joiner(encoding, skip)
        runs = (run.open(encoding) for run in self._runs)
        upcoming = next(runs, None)
        while (opened := upcoming) is not None:
            upcoming = next(runs, None)  # opened ahead: it is decoded while this one plays
            while not isinstance(opened, Items):
                yield from self._wait(opened, joiner, encoding)
                opened = opened.result()
            yield from joiner.join(opened)
        yield from joiner.rest()

    def _wait(self, opened: Coming, joiner: "_Joiner", encoding: Encoding) -> Iterator[Iterable[bytes]]:
        """Silence until a run is there, after what the one before it left begun."""
        while not opened.done():
            yield from joiner.rest()
            self.underruns += 1
            yield (encoding.silence,)


class Repeated:
    """Runs `times` times over (None: for ever), after a `lead` once, with an optional run between any two.

    Several runs may stand for one: they are iterated each time it is their turn.
    """

    def __init__(
        self,
        runs: Sequence[Run | Iterable[Run]],
        times: int | None,
        between: Run | None = None,
        lead: Sequence[Run] = (),
    ) -> None:
        if not any(isinstance(run, Iterable) or run.samples for run in runs):
            raise ValueError("nothing to repeat")
        self._runs, self._times, self._between, self._lead = runs, times, between, lead

    def __iter__(self) -> Iterator[Run]:
        passes = repeat(self._runs) if self._times is None else repeat(self._runs, self._times)
        first = True
        for run in chain(self._lead, chain.from_iterable(passes)):
            if self._between is not None and not first:
                yield self._between
            first = False
            if isinstance(run, Iterable):
                yield from run
            else:
                yield run


class Interrupted(Source):
    """Endless music, with an announcement after every `every` frames of it; then the music goes on."""

    def __init__(self, music: Source, announcement: Run, every: int) -> None:
        self._music, self._announcement, self._every = music, announcement, every
        self._announcing: Playlist | None = None
        self._announced = 0

    @property
    def underruns(self) -> int:  # type: ignore[override]
        """Those of both."""
        return self._music.underruns + self._announced + (self._announcing.underruns if self._announcing else 0)

    def items(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """Its items from frame `start`."""
        return chain.from_iterable(self._parts(encoding, start))

    def _parts(self, encoding: Encoding, start: int) -> Iterator[Iterable[bytes]]:
        turn, at = divmod(start, self._every - (-self._announcement.samples // FRAME_SAMPLES))
        played, announced = min(at, self._every), max(0, at - self._every)
        self._note_announcement()
        music = self._music.items(encoding, turn * self._every + played)
        while True:
            yield islice(music, self._every - played)
            self._announcing = Playlist([self._announcement])
            yield self._announcing.items(encoding, announced)
            self._note_announcement()
            played = announced = 0

    def _note_announcement(self) -> None:
        if self._announcing is not None:
            self._announced += self._announcing.underruns
            self._announcing = None


class _Joiner:
    """Joins runs of items to the sample: a run's partial last frame is filled up with the next one's beginning.

    As long as runs fill whole frames, their items pass as they are. After a partial one, each frame is cut anew
    from two neighbouring items. The first `skip` frames are left out.
    """

    def __init__(self, encoding: Encoding, skip: int) -> None:
        self._encoding = encoding
        self._header = encoding.header
        self._head = len(encoding.header)
        self._sample = encoding.sample_bytes
        self._frame = encoding.sample_bytes * FRAME_SAMPLES
        self._skip = skip
        self._carry = b""  # bytes of a frame begun and not yet full

    def join(self, run: Items) -> Iterator[Iterable[bytes]]:
        """The frames that a further run completes, in parts."""
        items, size = run.items, run.samples * self._sample
        offset = self._frame - len(self._carry) if self._carry else 0
        if size < offset:
            self._carry += self._cut(items, 0, size)
            return
        if self._carry and not self._skipped(1):
            yield (self._header + self._carry + self._cut(items, 0, offset),)
        whole, rest = divmod(size - offset, self._frame)
        self._carry = self._cut(items, size - rest, size)
        skipped = self._skipped(whole)
        if skipped < whole:
            yield self._whole_frames(items[skipped:] if skipped else items, offset, whole - skipped)

    def rest(self) -> Iterator[Iterable[bytes]]:
        """The last frame, padded with silence, where one is begun."""
        if self._carry and not self._skipped(1):
            yield (self._header + self._carry + self._encoding.silence[self._head + len(self._carry) :],)
        self._carry = b""

    def _skipped(self, frames: int) -> int:
        """How many of so many frames are to be left out."""
        skipped = min(self._skip, frames)
        self._skip -= skipped
        return skipped

    def _whole_frames(self, items: Sequence[bytes], offset: int, whole: int) -> Iterator[bytes]:
        if not offset:
            return islice(items, whole) if whole < len(items) else iter(items)
        header, head, cut = self._header, self._head, self._head + offset
        return (
            header + left[cut:] + right[head:cut]
            for left, right in zip(islice(items, whole), islice(items, 1, None), strict=False)
        )

    def _cut(self, items: Sequence[bytes], start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a run's sound; never more than a frame of them."""
        if start == end:
            return b""
        first, last = start // self._frame, (end - 1) // self._frame
        sound = b"".join(items[i][self._head :] for i in range(first, last + 1))
        return sound[start - first * self._frame : end - first * self._frame]
