"""Writes what callers hear of each prompt to WAV files, for `mediaserver check --listen`."""

import asyncio
import fnmatch
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mediaserver.audio.pcm import SAMPLE_BYTES
from mediaserver.errors import ConfigError, PromptError, error_text
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.routing.filling import VARIABLE
from mediaserver.routing.route import Route
from mediaserver.speech.tts.prompt_file import write_prompt_file
from mediaserver.wire.encapsulation import PCM, PCMA, PCMU, Encoding, first_encoding

_LAWS = {PCMU.name: "mulaw", PCMA.name: "alaw"}


class _Rendition(NamedTuple):
    """How a URL path plays a prompt: the name of the encoding, and the gain in dB that the URL path sets."""

    encoding: str
    gain: float

    @property
    def suffix(self) -> str:
        """The text after the prompt's name in the WAV file's name; "" for a prompt that is played unchanged."""
        gain = f"{self.gain:+g} dB" if self.gain else ""
        differences = ", ".join(filter(None, (_LAWS.get(self.encoding, ""), gain)))
        return f" ({differences})" if differences else ""


_AS_IT_IS = _Rendition(PCM.name, 0.0)
_ENCODINGS: dict[str, Encoding] = {encoding.name: encoding for encoding in (PCM, PCMU, PCMA)}


def validate_directory(directory: Path, prompts: Path) -> None:
    """Raise ConfigError if `directory` is in the prompt folder, because its files would become prompts."""
    if directory.resolve().is_relative_to(prompts.resolve()):
        raise ConfigError([f"--listen: {directory} is in the prompt folder, and what is there becomes a prompt"])


async def write_prompts(directory: Path, library: PromptLibrary, routes: Iterable[Route]) -> None:
    """Write each prompt of a library as the URL paths play it: 16-bit WAV files at 8 kHz, in `directory`.

    A prompt is written once for each gain and each law of G.711 with which URL paths play it, and unchanged if no
    URL path plays it. ConfigError if a file cannot be written.
    """
    renditions = _renditions(library, list(routes))
    for name, prompt in sorted(library.prompts.items()):
        for rendition in sorted(renditions.get(name, {_AS_IT_IS})):
            file = directory / f"{name}{rendition.suffix}.wav"
            try:
                pcm = await _heard(prompt, rendition)
                await asyncio.to_thread(_write, file, pcm)
            except PromptError:  # the prompt's file was removed or damaged after the prompt was loaded
                continue
            except OSError as error:
                raise ConfigError([f"--listen: {file} cannot be written: {error_text(error)}"]) from error


def _renditions(library: PromptLibrary, routes: list[Route]) -> dict[str, set[_Rendition]]:
    """How URL paths play each prompt, by the prompt's name. A `{variable}` in a setting stands for any text."""
    found: dict[str, set[_Rendition]] = {}
    for route in routes:
        encoding = first_encoding(route.wire).name
        with route.known_handler() as handler:
            rendition = _Rendition(encoding if encoding in _LAWS else PCM.name, handler.prompt_gain)
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


async def _heard(prompt: Prompt, rendition: _Rendition) -> bytes:
    """The PCM that a caller's phone plays: the prompt with its gain, encoded as it is sent, and decoded again."""
    encoding = _ENCODINGS[rendition.encoding]
    frames = prompt.amplified(rendition.gain).get_frames(encoding)
    encoded = await frames if isinstance(frames, asyncio.Future) else frames
    return b"".join(map(encoding.decode, encoded.frames))[: encoded.samples * SAMPLE_BYTES]


def _write(file: Path, pcm: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_prompt_file(file, pcm)
