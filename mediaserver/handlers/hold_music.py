"""The `hold-music` handler: music that plays for as long as a caller waits."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, nearest_frame_count
from mediaserver.call import Call
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt
from mediaserver.playout.sources.playlist import MusicWithAnnouncements, Playlist, Repeated
from mediaserver.playout.sources.source import Source, silence


@dataclass(frozen=True)
class MusicLoop:
    """Music tracks in an endless loop. One pass through the loop plays each track once.

    The loop begins in pass `number`, at index `track`. In a shuffled loop, the seed and the number of a pass
    determine the order of its tracks, so that all calls with one seed hear the tracks in the same order.
    """

    tracks: Sequence[Prompt | AmplifiedPrompt]
    seed: float | None  # the seed of the shuffling; None for tracks that are not shuffled
    number: int = 0
    track: int = 0
    loops: ClassVar[bool] = True

    def round_order(self, number: int) -> list[Prompt | AmplifiedPrompt]:
        """The tracks in the order in which the loop's pass `number` plays them."""
        tracks = list(self.tracks)
        if self.seed is not None:
            random.Random(f"{self.seed} {number}").shuffle(tracks)
        return tracks

    def __iter__(self) -> Iterator[Prompt | AmplifiedPrompt]:
        number = self.number
        yield from self.round_order(number)[self.track :]
        while True:
            number += 1
            yield from self.round_order(number)


def join_timeline(loop: MusicLoop, at: float) -> Playlist:
    """A playlist of a music loop that all calls share, from the place that the loop has reached at Unix time `at`.

    The loop began at the Unix epoch, so that all processes with the same tracks and clock agree on the place. A
    call begins at a frame boundary of the track that is playing, and is paced by its own ticks from there on.
    """
    number, position = divmod(int(at * SAMPLE_RATE), sum(track.samples for track in loop.tracks))
    index, order = 0, loop.round_order(number)
    while position >= order[index].samples:
        position -= order[index].samples
        index += 1
    return Playlist(MusicLoop(loop.tracks, loop.seed, number, index), start=position // FRAME_SAMPLES)


class HoldMusic(PlaybackSettings, Handler):
    """Plays music in an endless loop, with an announcement every `announce_every` seconds if one is set."""

    globs: ClassVar[bool] = True

    prompts: tuple[str, ...] = Field(min_length=1)
    shuffle: bool = False
    shared: bool = True
    announcement: str | None = None
    announce_every: float = Field(30.0, ge=1, le=3600, description="Seconds of music before each announcement.")

    def prompt_names(self) -> Iterable[str]:
        """The names or globs of the music tracks, and the name of the announcement."""
        return (*self.prompts, *([self.announcement] if self.announcement else []))

    def looped_prompts(self) -> Iterable[str]:
        """The names or globs of the music tracks."""
        return self.prompts

    async def run(self, call: Call) -> None:
        """Play the music until the peer hangs up."""
        await call.play(self._source(call))

    def _source(self, call: Call) -> Source:
        library = call.prompts
        tracks = [track for track in library.match(self.prompts) if track.samples]
        if not tracks:  # a loop without any track would never yield a frame, and block the process
            return Playlist(Repeated([silence(1000)], None))
        if self.shared:
            music: Source = join_timeline(MusicLoop(tracks, 0 if self.shuffle else None), time.time())
        else:
            music = Playlist(MusicLoop(tracks, random.random() if self.shuffle else None))
        if self.announcement is None:
            return music
        every = nearest_frame_count(self.announce_every)
        return MusicWithAnnouncements(music, library.get(self.announcement), every)
