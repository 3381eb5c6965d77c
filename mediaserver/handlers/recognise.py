"""The `recognise` handler: transcribes what the caller says (STT)."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from mediaserver.call import Call
from mediaserver.config.speech_settings import RecognitionEngines
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.handlers.common import files
from mediaserver.handlers.common.transcriber import Transcriber
from mediaserver.handlers.common.transcript import Transcript, TranscriptTemplate
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement

_FINISH_TIMEOUT = 2.0  # the seconds after a call to recognise its last utterance: many callers speak, then hang up


def _validate_keywords(keywords: tuple[str, ...]) -> tuple[str, ...]:
    if not all(any(map(str.isalnum, keyword)) for keyword in keywords):
        raise ValueError("should be words or phrases: one of them is empty")
    return keywords


class Recognise(files.FileModeSettings, PlaybackSettings, Handler):
    """Transcribes the caller's speech until the peer hangs up. The peer hears the setting `prompt`, or silence."""

    own_variables: ClassVar[frozenset[str]] = files.TEMPLATE_FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"engine", "keywords", "directory"})

    engine: RecognitionEngines | None = None
    keywords: Annotated[tuple[str, ...], AfterValidator(_validate_keywords)] = ()
    partials: bool = Field(True, description="Whether events tell the words so far.")
    sensitivity: int = Field(
        2, ge=0, le=3, description="How strict the voice activity detection is: 0 takes much for speech, 3 little."
    )
    end_silence: float = Field(0.7, ge=0.2, le=5, description="Seconds without speech that end an utterance.")
    max_utterance: float = Field(30.0, ge=2, le=60, description="Seconds after which an utterance is cut.")
    prompt: str | None = Field(None, description="A prompt that is played meanwhile.")
    directory: Path = Field(Path("transcripts"), description="The folder of the transcripts.")
    file: TranscriptTemplate | None = None

    def prompt_names(self) -> Iterable[str]:
        """The name of the prompt that is played while the caller is transcribed."""
        return [self.prompt] if self.prompt is not None else []

    def folders(self) -> Iterable[Path]:
        """The folder that transcripts are written into; none if the setting `file` is missing."""
        return (self.directory,) if self.file is not None else ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The STT engine that transcribes the caller."""
        return [EngineRequirement(EngineKind.STT, self.engine or (), self.language)]

    async def run(self, call: Call) -> None:
        """Transcribe one utterance after another. After the call, the last utterance has 2 s to be transcribed."""
        transcript = Transcript(call, self.directory, self.file, self.modes)
        transcriber = Transcriber(
            call,
            call.speech.recogniser(self.engine or ()),
            self.language,
            self.keywords,
            self.partials,
            transcript,
        )
        with call.utterances(
            mode=self.sensitivity,
            end_silence=self.end_silence,
            max_duration=self.max_utterance,
            on_dropped=transcriber.on_dropped,
        ) as utterances:
            transcribing = asyncio.create_task(transcriber.run(utterances))
            try:
                if self.prompt is not None:
                    await call.play(self.prompt)
                await asyncio.wait((transcribing,))
            finally:
                utterances.close()
                try:
                    await _finish_transcription(transcribing)
                finally:
                    await transcript.close()


async def _finish_transcription(transcribing: asyncio.Task[None]) -> None:
    """Wait at most 2 s for the transcription task to end, then cancel it. An exception of the task is raised."""
    try:
        await asyncio.wait((transcribing,), timeout=_FINISH_TIMEOUT)
    finally:
        transcribing.cancel()
        await asyncio.wait((transcribing,))
    if not transcribing.cancelled():
        transcribing.result()
