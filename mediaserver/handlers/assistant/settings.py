"""The settings of the `assistant` handler: texts, engines, limits and tools."""

from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import Field, field_validator, model_validator

from mediaserver.call import Call
from mediaserver.config.speech_settings import RecognitionEngines
from mediaserver.handlers.assistant.fillers import Fillers
from mediaserver.handlers.assistant.tools import Tools
from mediaserver.handlers.common import files
from mediaserver.handlers.common.spoken_prompt import PromptItems, SpokenPrompt, Text, VoiceSettings
from mediaserver.handlers.common.transcript import TranscriptTemplate
from mediaserver.playout.sources.source import silence
from mediaserver.speech.text.template import Template

T = TypeVar("T")


class AssistantTexts(NamedTuple, Generic[T]):
    """The texts of an assistant, either as templates, or with the variables of a call filled in."""

    instructions: T
    greeting: T
    idle_text: T
    apology: T


def _template(text: str, description: str) -> Any:
    return Field(Template((), text), description=description)


class AssistantSettings(files.FileModeSettings, VoiceSettings):
    """Settings of the `assistant` handler. The settings of its voice are inherited from `VoiceSettings`."""

    instructions: Text = Field(description="What the model is told first: who it is, and what to do.")
    greeting: Text = _template("", "A text that is spoken first.")
    model: str = Field("", description="The name of the chat model. Empty: that of [chat].")
    recognition_engine: RecognitionEngines | None = None
    end_silence: float = Field(0.6, ge=0.2, le=5, description="Seconds of a pause that end an utterance.")
    barge_in: bool = Field(True, description="Whether the caller's speech and keys stop an answer.")
    max_turns: int = Field(50, ge=1, description="How many answers there may be.")
    idle: float = Field(15.0, ge=1, le=600, description="Idle seconds after which idle_text is spoken.")
    idle_text: Text = _template("Are you still there?", "A text for an idle caller. Empty: the call ends.")
    apology: Text = _template("I am sorry, could you say that again?", "A text for a failure of STT or LLM.")
    fallback: str = Field("", description="A prompt that is played where TTS fails. Empty: two beeps.")
    filler: PromptItems = Field(
        (), description="A prompt or a spoken text that is played while the model thinks, or several in turn."
    )
    filler_after: float | None = Field(
        None, gt=0, le=60, description="Seconds that the model may think before a filler is played."
    )
    max_failures: int = Field(3, ge=1, description="How many failed turns in a row make it give up.")
    on_failure: Literal["hang-up", "transfer"] = Field(
        "hang-up", description="What the assistant does when it gives up."
    )
    tools: Tools = Tools()
    directory: Path = Field(Path("transcripts"), description="The folder of the transcripts.")
    file: TranscriptTemplate | None = Field(
        None, description="The template of the transcript's name. Without it there is no transcript."
    )

    @field_validator("instructions")
    @classmethod
    def _has_instructions(cls, instructions: Template) -> Template:
        if instructions == Template((), ""):
            raise ValueError("should say who the assistant is, and what it is to do")
        return instructions

    @model_validator(mode="after")
    def _has_fillers(self) -> "AssistantSettings":
        if self.filler_after is not None and not self.filler:
            raise ValueError('filler_after needs "filler": a prompt, or {say = "…"}, that is heard then')
        if self.filler and self.filler_after is None:
            raise ValueError('filler needs "filler_after": the seconds after which it is heard, such as 1.5')
        return self

    @property
    def spoken_fillers(self) -> list[SpokenPrompt]:
        """The spoken texts among the fillers, with the voice settings of this URL path as defaults."""
        return [item.with_defaults(self) for item in self.filler if isinstance(item, SpokenPrompt)]

    def make_fillers(self, call: Call) -> Fillers | None:
        """Make one conversation's fillers, and begin to synthesise their texts; None if no fillers are set."""
        if self.filler_after is None:
            return None
        sounds = [
            call.prompts.get(item)
            if isinstance(item, str)
            else item.with_defaults(self).synthesise(call, silence(0))
            for item in self.filler
        ]
        return Fillers(call, sounds, self.filler_after)

    @model_validator(mode="after")
    def _can_transfer(self) -> "AssistantSettings":
        if self.on_failure == "transfer" and self.tools.transfer is None:
            raise ValueError('on_failure = "transfer" needs tools.transfer: a destination, or a URL to ask')
        return self
