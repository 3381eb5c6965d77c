"""The kinds of sound that a handler may play on a call, and the sources that play them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.prompts.encoded_frames import SoundFile
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import PlaybackResult, Segment, Source
from mediaserver.speech.tts.spoken_text import SpokenText

Sound = Source | Segment | SpokenText | str | Path  # a `str` names a prompt, a `Path` a sound file


async def open_sound(
    sound: Sound, prompts: PromptSnapshot, decode: Callable[[Path], Awaitable[SoundFile]]
) -> Source:
    """A source that plays a sound; PromptError if there is no such prompt, or the file cannot be played.

    TypeError if the object is no sound.
    """
    if isinstance(sound, str):
        sound = prompts.get(sound)
    elif isinstance(sound, Path):
        sound = await decode(sound)
    if isinstance(sound, Source):
        return sound
    if isinstance(sound, SpokenText):
        return Playlist(sound)
    if not hasattr(sound, "get_frames"):  # a user's handler may pass anything, such as bytes
        raise TypeError(f"{type(sound).__name__} is no sound: give a prompt's name, a Path, or a Source of frames")
    return Playlist([sound])


def start_playback(
    pacer: Pacer, source: Source, first: object, *, interrupt: bool = False
) -> asyncio.Future[PlaybackResult]:
    """Play a source after all queued sound, or at once with `interrupt`; the future is that of `Pacer.play`.

    `first` is the sound with which the source begins. If that is a text whose speech is not there yet, the source
    interrupts other sound only when it is. Until then it waits behind all queued sound.
    """
    if not interrupt:
        return pacer.play(source)
    if not isinstance(first, SpokenText) or first.has_begun:
        return pacer.interject(source)
    done = pacer.play(source)
    waiting = asyncio.ensure_future(_bring_forward(pacer, done, first))
    done.add_done_callback(lambda _: waiting.cancel())
    return done


async def _bring_forward(pacer: Pacer, done: asyncio.Future[PlaybackResult], text: SpokenText) -> None:
    """Have a waiting source interrupt other sound once the speech with which it begins is there."""
    await text.wait_begun()
    pacer.bring_forward(done)


@dataclass(frozen=True, slots=True)
class BackgroundLevels:
    """How loud a background is: its active speech level in dBov, and the dB by which other sound lowers it."""

    level: float = -26.0
    ducking: float = 10.0

    def changed(self, level: float | None, ducking: float | None) -> "BackgroundLevels":
        """The levels with other values; None leaves a value as it is."""
        changed = BackgroundLevels(
            self.level if level is None else level, self.ducking if ducking is None else ducking
        )
        return changed if changed != self else self

    def open(self, name: str | Prompt, prompts: PromptSnapshot) -> Background | None:
        """The background that repeats a prompt; None if it is empty. PromptError if there is no such prompt."""
        prompt = prompts.find(name) if isinstance(name, str) else name
        return Background(LevelledPrompt(prompt, self.level), self.ducking) if prompt.samples else None


DEFAULT_LEVELS = BackgroundLevels()  # those of a call whose handler has set none
