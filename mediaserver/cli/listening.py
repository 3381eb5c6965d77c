"""Writes what callers hear of each prompt to WAV files, for `mediaserver check --listen`."""

import asyncio
import contextlib
import fnmatch
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from mediaserver.audio.pcm import FRAMES_PER_SECOND, SAMPLE_BYTES
from mediaserver.errors import ConfigError, PromptError, error_text
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.routing.filling import VARIABLE
from mediaserver.routing.route import Route
from mediaserver.speech.tts.prompt_file import write_prompt_file
from mediaserver.wire.encapsulation import PCM, PCMA, PCMU, Encoding, first_encoding

_LAWS = {PCMU.name: "mulaw", PCMA.name: "alaw"}
_AFTER_FRAMES = 2 * FRAMES_PER_SECOND  # number of frames of a background that follow a prompt: until it is raised


class _Rendition(Protocol):
    """A way in which a URL path has callers hear a prompt. Equal ways give equal sound."""

    @property
    def suffix(self) -> str:
        """The text after the prompt's name in the WAV file's name; "" for a prompt that is played unchanged."""

    async def heard(self, prompt: Prompt, library: PromptLibrary) -> bytes:
        """The PCM that a caller's phone plays. PromptError if a prompt's file is gone or was damaged."""


class _Backdrop(NamedTuple):
    """A path's background sound: its prompt's name, its level in dBov, and the dB by which it is lowered."""

    name: str
    level: float
    ducking: float

    async def open(self, library: PromptLibrary, encoding: Encoding) -> tuple[Background, EncodedFrames]:
        """The background, and its frames, which the caller holds so that they need not be made again."""
        prompt = LevelledPrompt(library.prompts[self.name], self.level)
        return Background(prompt, self.ducking), await prompt.make_frames(encoding)


class _Played(NamedTuple):
    """A prompt that a path plays: in an encoding, at a gain in dB, and over a background if there is one."""

    encoding: str
    gain: float
    backdrop: _Backdrop | None

    @property
    def suffix(self) -> str:
        details = [_LAWS.get(self.encoding, ""), f"{self.gain:+g} dB" if self.gain else ""]
        if self.backdrop is not None:
            name, level, ducking = self.backdrop
            details += [f"over {name.replace('/', '-')} at {level:g} dBov", f"lowered by {ducking:g} dB"]
        return _in_brackets(details)

    async def heard(self, prompt: Prompt, library: PromptLibrary) -> bytes:
        """The prompt, encoded as it is sent, and decoded again. A background is heard for 2 s after the prompt."""
        encoding, played = _ENCODINGS[self.encoding], prompt.amplified(self.gain)
        if self.backdrop is None:
            encoded = await _frames_of(played, encoding)
            return b"".join(map(encoding.decode, encoded.frames))[: encoded.samples * SAMPLE_BYTES]
        encoded = await _frames_of(played, Background.source_encoding(encoding))
        background, _held = await self.backdrop.open(library, encoding)
        mixed = background.mix(iter(encoded.frames), encoding)
        return b"".join(map(encoding.decode, chain(mixed, islice(background.play(encoding), _AFTER_FRAMES))))


class _Alone(NamedTuple):
    """A prompt that is a path's background, as it is heard while nothing else is played: one pass of it."""

    encoding: str
    backdrop: _Backdrop

    @property
    def suffix(self) -> str:
        return _in_brackets([_LAWS.get(self.encoding, ""), f"background at {self.backdrop.level:g} dBov"])

    async def heard(self, prompt: Prompt, library: PromptLibrary) -> bytes:
        """The background from its first frame on, which fades in."""
        encoding = _ENCODINGS[self.encoding]
        background, held = await self.backdrop.open(library, encoding)
        heard = islice(background.play(encoding), len(held.frames))
        return b"".join(map(encoding.decode, heard))[: held.samples * SAMPLE_BYTES]


def _in_brackets(details: Iterable[str]) -> str:
    given = ", ".join(filter(None, details))
    return f" ({given})" if given else ""


async def _frames_of(prompt: Prompt | AmplifiedPrompt, encoding: Encoding) -> EncodedFrames:
    frames = prompt.get_frames(encoding)
    return frames if isinstance(frames, EncodedFrames) else await frames


_AS_IT_IS = _Played(PCM.name, 0.0, None)
_ENCODINGS: dict[str, Encoding] = {encoding.name: encoding for encoding in (PCM, PCMU, PCMA)}


def validate_directory(directory: Path, prompts: Path) -> None:
    """Raise ConfigError if `directory` is in the prompt folder, because its files would become prompts."""
    if directory.resolve().is_relative_to(prompts.resolve()):
        raise ConfigError([f"--listen: {directory} is in the prompt folder, and what is there becomes a prompt"])


async def write_prompts(directory: Path, library: PromptLibrary, routes: Iterable[Route]) -> None:
    """Write each prompt of a library as the URL paths play it: 16-bit WAV files at 8 kHz, in `directory`.

    A prompt is written once for each gain, each law of G.711 and each background with which URL paths play it, and
    unchanged if no URL path plays it. ConfigError if a file cannot be written.
    """
    renditions = _renditions(library, list(routes))
    for name, prompt in sorted(library.prompts.items()):
        for rendition in sorted(renditions.get(name, {_AS_IT_IS}), key=lambda each: each.suffix):
            file = directory / f"{name}{rendition.suffix}.wav"
            try:
                pcm = await rendition.heard(prompt, library)
                await asyncio.to_thread(_write, file, pcm)
            except PromptError:  # the prompt's file was removed or damaged after the prompt was loaded
                continue
            except OSError as error:
                raise ConfigError([f"--listen: {file} cannot be written: {error_text(error)}"]) from error


def _renditions(library: PromptLibrary, routes: list[Route]) -> dict[str, set[_Rendition]]:
    """How URL paths play each prompt, by the prompt's name. A `{variable}` in a prompt's name stands for any text.

    A background whose name has a `{variable}` is left out.
    """
    found: dict[str, set[_Rendition]] = {}
    for route in routes:
        encoding = first_encoding(route.wire).name
        encoding = encoding if encoding in _LAWS else PCM.name
        with route.known_handler() as handler:
            backdrop = _backdrop_of(handler, library)
            if backdrop is not None:
                found.setdefault(backdrop.name, set()).add(_Alone(encoding, backdrop))
            rendition = _Played(encoding, handler.prompt_gain, backdrop)
            for name in handler.prompt_names():
                pattern = VARIABLE.sub("*", name)
                variants = (
                    variant
                    for (_, base), variant in library.snapshot.language_variants.items()
                    if fnmatch.fnmatch(base, pattern)
                )
                for played in (*fnmatch.filter(library.prompts, pattern), *variants):
                    found.setdefault(played, set()).add(rendition)
    return found


def _backdrop_of(handler: Handler, library: PromptLibrary) -> _Backdrop | None:
    """A handler's background; None if it has none, or if its prompt is missing, empty or not known yet."""
    if handler.background is not None:
        with contextlib.suppress(PromptError):
            prompt = library.snapshot.view(language=handler.prompt_language).find(handler.background)
            if prompt.samples:
                return _Backdrop(prompt.name, handler.background_level, handler.background_ducking)
    return None


def _write(file: Path, pcm: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_prompt_file(file, pcm)
