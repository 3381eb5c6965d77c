"""`hold-music`: music that goes on for as long as a caller waits."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, nearest_frame_count
from mediaserver.call import Call
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.playout.sources.source import MusicWithAnnouncements, Playlist, Source


@dataclass(frozen=True)
class Rounds:
    """Endless rounds through some pieces, from round `number` and its piece `piece` on.

    Shuffled, each round's order follows from the seed and its number: the same for all who use that seed.
    """

    pieces: Sequence[Prompt]
    seed: float | None  # None: as given
    number: int = 0
    piece: int = 0

    def order(self, number: int) -> list[Prompt]:
        """The pieces in the order of one round."""
        pieces = list(self.pieces)
        if self.seed is not None:
            random.Random(f"{self.seed} {number}").shuffle(pieces)
        return pieces

    def __iter__(self) -> Iterator[Prompt]:
        number = self.number
        yield from self.order(number)[self.piece :]
        while True:
            number += 1
            yield from self.order(number)


def join(rounds: Rounds, at: float) -> Playlist:
    """The one timeline that began at the Unix epoch, from where it is at `at` seconds of it.

    All processes with the same pieces and the same clock agree on it. It is joined at a frame boundary of the
    piece that plays; from there on the caller's own ticks count.
    """
    number, position = divmod(int(at * SAMPLE_RATE), sum(piece.samples for piece in rounds.pieces))
    index, order = 0, rounds.order(number)
    while position >= order[index].samples:
        position -= order[index].samples
        index += 1
    return Playlist(Rounds(rounds.pieces, rounds.seed, number, index), start=position // FRAME_SAMPLES)


class HoldMusic(Handler):
    """Plays music without end, with an announcement now and then."""

    globs: ClassVar[bool] = True

    prompts: tuple[str, ...] = Field(min_length=1)
    shuffle: bool = False
    shared: bool = True
    announcement: str | None = None
    announce_every: float = Field(30.0, ge=1, le=3600, description="seconds of music before each announcement")

    def prompt_names(self) -> Iterable[str]:
        """The music and the announcement."""
        return (*self.prompts, *([self.announcement] if self.announcement else []))

    async def run(self, call: Call) -> None:
        """Play until the peer hangs up."""
        await call.play(self._source(call))

    def _source(self, call: Call) -> Source:
        library = call.prompts
        pieces = library.match(self.prompts)
        if self.shared:
            music: Source = join(Rounds(pieces, 0 if self.shuffle else None), time.time())
        else:
            music = Playlist(Rounds(pieces, random.random() if self.shuffle else None))
        if self.announcement is None:
            return music
        every = nearest_frame_count(self.announce_every)
        return MusicWithAnnouncements(music, library.get(self.announcement), every)
