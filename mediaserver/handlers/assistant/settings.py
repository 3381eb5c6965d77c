"""The settings of the `assistant` handler: texts, engines, limits and tools."""

from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from mediaserver.call import Call
from mediaserver.config.speech_settings import RecognitionEngines
from mediaserver.handlers.assistant.fillers import Fillers
from mediaserver.handlers.assistant.tools import Tools
from mediaserver.handlers.common import files
from mediaserver.handlers.common.spoken_prompt import PromptItems, SpokenPrompt, Text, VoiceSettings
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

    instructions: Text = Field(description="what the model is told first: who it is, what to do")
    greeting: Text = _template("", "spoken first")
    model: str = Field("", description="name of the chat model; empty: chat.model")
    recognition_engine: RecognitionEngines | None = None
    end_silence: float = Field(0.6, ge=0.2, le=5, description="seconds of a pause that end an utterance")
    barge_in: bool = Field(True, description="whether the caller's speech and keys stop an answer")
    max_turns: int = Field(50, ge=1, description="turns, after which the call is over")
    idle: float = Field(15.0, ge=1, le=600, description="idle seconds, after which idle_text is spoken")
    idle_text: Text = _template("Are you still there?", "spoken once to an idle caller; empty: hang up")
    apology: Text = _template("I am sorry, could you say that again?", "spoken where STT or the model fails")
    fallback: str = Field("", description="prompt that is played where TTS fails; empty: a tone")
    filler: PromptItems = Field(
        (), description="a prompt or a spoken text that is played while the model thinks, or several in turn"
    )
    filler_after: float | None = Field(
        None, gt=0, le=60, description="seconds of silence before a filler while the model thinks; none: no filler"
    )
    max_failures: int = Field(3, ge=1, description="failed turns in a row, after which the assistant gives up")
    on_failure: Literal["hang-up", "transfer"] = Field("hang-up", description="what giving up does")
    tools: Tools = Tools()
    directory: Path = Field(Path("transcripts"), description="folder of the transcripts")
    file: Annotated[str, AfterValidator(files.validate_template)] | None = Field(
        None, description="name template of the transcript; none: no transcript"
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
