"""`recognise`: what is said on a line, in words."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from mediaserver.call import Call
from mediaserver.config.fields import LanguageTag
from mediaserver.config.speech_settings import RecognitionEngine
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import files
from mediaserver.handlers.common.transcriber import Scribe
from mediaserver.handlers.common.transcript import CAPTIONS, Transcript
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement

_LAST_WORDS = 2.0  # seconds after the call for what was said last: most hang up right after they have spoken


def _is_said(keywords: tuple[str, ...]) -> tuple[str, ...]:
    if not all(any(map(str.isalnum, keyword)) for keyword in keywords):
        raise ValueError("should be words or phrases: one of them has none")
    return keywords


def _is_no_caption(template: str) -> str:
    if template.lower().endswith(CAPTIONS):
        raise ValueError(f"{CAPTIONS} is the name of the captions beside it: name it .jsonl")
    return files.check(template)


class Recognise(files.Keeping, Handler):
    """Tells what it hears in words, until the peer hangs up; the peer hears a prompt, or silence."""

    own_variables: ClassVar[frozenset[str]] = files.FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"engine", "keywords", "directory"})

    engine: RecognitionEngine | None = None
    language: LanguageTag | None = None
    keywords: Annotated[tuple[str, ...], AfterValidator(_is_said)] = ()
    partials: bool = Field(True, description="tell what it seems to be while it is being said")
    sensitivity: int = Field(
        2, ge=0, le=3, description="of the speech detector: 0 takes much for speech, 3 little"
    )
    end_silence: float = Field(0.7, ge=0.2, le=5, description="seconds without speech that end an utterance")
    max_utterance: float = Field(30.0, ge=2, le=60, description="seconds, after which it is cut")
    prompt: str | None = Field(None, description="heard meanwhile")
    directory: Path = Field(Path("transcripts"), description="of the transcripts' files")
    file: Annotated[str, AfterValidator(_is_no_caption)] | None = None

    def prompt_names(self) -> Iterable[str]:
        """What is heard meanwhile."""
        return [self.prompt] if self.prompt is not None else []

    def folders(self) -> Iterable[Path]:
        """Where transcripts are written, if they are."""
        return (self.directory,) if self.file is not None else ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The one that recognises."""
        return [EngineRequirement(EngineKind.STT, self.engine or "", self.language or "")]

    async def run(self, call: Call) -> None:
        """Recognise one utterance after another; the last one after the call, if it is quick."""
        path = files.place(self.directory, self.file, call.stream) if self.file is not None else None
        scribe = Scribe(
            call,
            call.speech.recogniser(self.engine or ""),
            self.language or "",
            self.keywords,
            self.partials,
            Transcript(self.directory, path, self.modes) if path is not None else None,
        )
        with call.utterances(
            mode=self.sensitivity,
            end_silence=self.end_silence,
            max_duration=self.max_utterance,
            on_dropped=scribe.lost,
        ) as utterances:
            writing = asyncio.create_task(scribe.run(utterances))
            try:
                if self.prompt is not None:
                    await call.play(self.prompt)
                await asyncio.wait((writing,))
            finally:
                utterances.close()
                await _finish(writing)


async def _finish(writing: asyncio.Task[None]) -> None:
    """Let it end, for a while; its own failure is raised."""
    try:
        await asyncio.wait((writing,), timeout=_LAST_WORDS)
    finally:
        writing.cancel()
        await asyncio.wait((writing,))
    if not writing.cancelled():
        writing.result()
