"""Playlists play segments gaplessly: each segment begins at the sample after the end of the segment before it.

Whole sources, in contrast, begin at a new frame: `playout.pacing.sequencer` plays them without a missed tick.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, dropwhile, islice, repeat

import structlog

from mediaserver.audio.pcm import FRAME_SAMPLES
from mediaserver.errors import PromptError
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.source import PendingFrames, Segment, Source, name_of, silence
from mediaserver.wire.encapsulation import Encoding

_NAMED = 3  # the number of segments that a playlist is named by
_SILENCE_MS = 1000  # ms of silence played in place of a prompt that cannot be played any more

log = structlog.get_logger()


class Playlist(Source):
    """A source that plays segments one after another, without a gap of even one sample.

    `segments` is iterated anew each time `iter_frames` is called, and may be endless. The first `start` frames of
    the playlist are skipped. While the next segment is still being decoded, silence is played and counted as
    underruns.
    """

    def __init__(self, segments: Iterable[Segment], start: int = 0) -> None:
        self._segments = segments
        self._start = start
        self._segment: Segment | None = None  # the segment that plays now
        # The frames that play now. They stay in memory while they play, so that the iterator that continues the
        # playlist, in this or another encoding, finds them in the store of prompts.
        self._held: EncodedFrames | None = None

    @property
    def loops(self) -> bool:
        """Whether the segments are repeated for ever: the attribute `loops` of the iterable, if it has one."""
        return bool(getattr(self._segments, "loops", False))

    @property
    def playing(self) -> str:
        """The name of the segment that plays now, such as a prompt's; "" before the first one."""
        return name_of(self._segment) if self._segment is not None else ""

    @property
    def title(self) -> str:
        """The names of the first segments; of an iterable that makes its segments, its own name or the latest."""
        if not isinstance(self._segments, Repeated | Sequence):
            return str(getattr(self._segments, "name", "")) or super().title
        named = list(dict.fromkeys(filter(None, _names(self._segments))))
        return ", ".join([*named[:_NAMED], *(["…"] if len(named) > _NAMED else [])])

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The playlist's encoded frames, from frame `start` on."""
        return chain.from_iterable(self._parts(encoding, self._start + start))

    def _parts(self, encoding: Encoding, skip: int) -> Iterator[Iterable[bytes]]:
        joiner = _GaplessJoiner(encoding, skip)
        segments = dropwhile(joiner.skip, self._segments)
        upcoming = _open_next(segments, encoding)
        while upcoming is not None:
            segment, current = upcoming
            upcoming = _open_next(segments, encoding)  # asked for now, so that it is decoded meanwhile
            while not isinstance(current, EncodedFrames):
                yield from self._silence_while_pending(current, joiner, encoding)
                current = _result_of(current, segment, encoding)
            self._segment, self._held = segment, current
            yield from joiner.join(current)
        yield from joiner.flush()
        self._held = None

    def _silence_while_pending(
        self, pending: PendingFrames, joiner: "_GaplessJoiner", encoding: Encoding
    ) -> Iterator[Iterable[bytes]]:
        """Yield the partial last frame of the previous segment, and then silence until `pending` is decoded."""
        while not pending.done():
            yield from joiner.flush()
            self.underruns += 1
            yield (encoding.silence,)


def _open_next(
    segments: Iterator[Segment], encoding: Encoding
) -> tuple[Segment, EncodedFrames | PendingFrames] | None:
    """Take the next segment, and ask for its frames; None at the end."""
    segment = next(segments, None)
    return (segment, segment.get_frames(encoding)) if segment is not None else None


def _names(segments: "Repeated | Sequence[Segment | Iterable[Segment]]") -> Iterator[str]:
    """The names of segments. An iterable that makes segments is not iterated, as a text would be spoken then."""
    for segment in segments.once if isinstance(segments, Repeated) else segments:
        if isinstance(segment, Repeated | Sequence):
            yield from _names(segment)
        else:
            yield name_of(segment)


def _result_of(pending: PendingFrames, segment: Segment, encoding: Encoding) -> EncodedFrames | PendingFrames:
    """The frames that `pending`, which is done, holds; a second of silence if the sound cannot be played."""
    try:
        return pending.result()
    except PromptError as error:  # the prompt was evicted from memory, and its file is gone or broken
        log.error("prompt replaced by silence", prompt=name_of(segment), why=str(error))
        return silence(_SILENCE_MS).get_frames(encoding)


class Repeated:
    """The segments of an `intro`, and then `segments`, played `times` times, or for ever if `times` is None.

    The segment `between`, if there is one, is played between any two segments. An iterable may stand in place of
    one segment; it is iterated anew each time it is played. If no segment has a sample, only the intro is played.
    """

    def __init__(
        self,
        segments: Sequence[Segment | Iterable[Segment]],
        times: int | None,
        between: Segment | None = None,
        intro: Sequence[Segment] = (),
    ) -> None:
        if not any(isinstance(segment, Iterable) or segment.samples for segment in segments):
            segments = ()
        self._segments, self._times, self._between, self._intro = segments, times, between, intro

    @property
    def loops(self) -> bool:
        """Whether the segments are repeated for ever."""
        return self._times is None and bool(self._segments)

    @property
    def once(self) -> Sequence[Segment | Iterable[Segment]]:
        """All that is played, each once."""
        return [*self._intro, *self._segments]

    def __iter__(self) -> Iterator[Segment]:
        times = self._times if self._segments else 0
        rounds = repeat(self._segments) if times is None else repeat(self._segments, times)
        first = True
        for segment in chain(self._intro, chain.from_iterable(rounds)):
            if self._between is not None and not first:
                yield self._between
            first = False
            if isinstance(segment, Iterable):
                yield from segment
            else:
                yield segment


class MusicWithAnnouncements(Source):
    """Endless music that is interrupted by an announcement after every `every` frames of music."""

    loops = True

    def __init__(self, music: Source, announcement: Segment, every: int) -> None:
        self._music, self._announcement, self._every = music, announcement, every
        self._announcements = Playlist([announcement])  # this playlist is iterated anew for each announcement
        self._announcing = False

    @property
    def underruns(self) -> int:  # type: ignore[override]
        """Frames of silence played because the music or an announcement was not decoded in time."""
        return self._music.underruns + self._announcements.underruns

    @property
    def title(self) -> str:
        """The names of the music."""
        return self._music.title

    @property
    def playing(self) -> str:
        """The name of the announcement, or of the music's segment, that plays now."""
        return (self._announcements if self._announcing else self._music).playing

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The encoded frames of the music and the announcements, from frame `start` on."""
        return chain.from_iterable(self._parts(encoding, start))

    def _parts(self, encoding: Encoding, start: int) -> Iterator[Iterable[bytes]]:
        turn, at = divmod(start, self._every - (-self._announcement.samples // FRAME_SAMPLES))
        played, announced = min(at, self._every), max(0, at - self._every)
        self._announcing = False
        music = self._music.iter_frames(encoding, turn * self._every + played)
        while True:
            yield islice(music, self._every - played)
            self._announcing = True
            yield self._announcements.iter_frames(encoding, announced)
            self._announcing = False
            played = announced = 0


class _GaplessJoiner:
    """Joins segments gaplessly: a segment's partial last frame is filled up with the next segment's first samples.

    While segments fill whole frames, their encoded frames are passed on unchanged. After a partial frame, each
    frame is put together from the parts of two neighbouring frames. The first `skip` frames are left out.
    """

    def __init__(self, encoding: Encoding, skip: int) -> None:
        self._encoding = encoding
        self._header = encoding.header
        self._header_bytes = len(encoding.header)
        self._sample_bytes = encoding.sample_bytes
        self._payload_bytes = encoding.sample_bytes * FRAME_SAMPLES
        self._skip = skip
        self._partial = b""  # the payload, so far, of a frame that the next segment will fill up

    def skip(self, segment: Segment) -> bool:
        """Leave out a segment if it ends before the first frame that is to be played; return True if so.

        This method does not read the segment's frames, which may have been evicted from memory. Call the method
        only before the first `join`.
        """
        if not 0 < segment.samples <= self._skip * FRAME_SAMPLES - len(self._partial) // self._sample_bytes:
            return False
        whole, rest = divmod(len(self._partial) // self._sample_bytes + segment.samples, FRAME_SAMPLES)
        self._skip -= whole
        self._partial = bytes(rest * self._sample_bytes)  # this frame is skipped, so its bytes do not matter
        return True

    def join(self, segment: EncodedFrames) -> Iterator[Iterable[bytes]]:
        """Add a segment, and yield the frames that are now complete, in one or two iterables."""
        frames, size = segment.frames, segment.samples * self._sample_bytes
        offset = self._payload_bytes - len(self._partial) if self._partial else 0
        if size < offset:
            self._partial += self._cut(frames, 0, size)
            return
        if self._partial and not self._count_skipped(1):
            yield (self._header + self._partial + self._cut(frames, 0, offset),)
        whole, rest = divmod(size - offset, self._payload_bytes)
        self._partial = self._cut(frames, size - rest, size)
        skipped = self._count_skipped(whole)
        if skipped < whole:
            yield self._whole_frames(frames[skipped:] if skipped else frames, offset, whole - skipped)

    def flush(self) -> Iterator[Iterable[bytes]]:
        """Yield the partial frame that is left, padded with silence, if there is one."""
        if self._partial and not self._count_skipped(1):
            padding = self._encoding.silence[self._header_bytes + len(self._partial) :]
            yield (self._header + self._partial + padding,)
        self._partial = b""

    def _count_skipped(self, frames: int) -> int:
        """Return how many of the next `frames` frames to leave out, and count them as skipped."""
        skipped = min(self._skip, frames)
        self._skip -= skipped
        return skipped

    def _whole_frames(self, frames: Sequence[bytes], offset: int, whole: int) -> Iterator[bytes]:
        if not offset:
            return islice(frames, whole) if whole < len(frames) else iter(frames)
        header, head, cut = self._header, self._header_bytes, self._header_bytes + offset
        return (
            header + left[cut:] + right[head:cut]
            for left, right in zip(islice(frames, whole), islice(frames, 1, None), strict=False)
        )

    def _cut(self, frames: Sequence[bytes], start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a segment's payload: no more than the payload of one frame."""
        if start == end:
            return b""
        first, last = start // self._payload_bytes, (end - 1) // self._payload_bytes
        payload = b"".join(frames[i][self._header_bytes :] for i in range(first, last + 1))
        return payload[start - first * self._payload_bytes : end - first * self._payload_bytes]
