"""`assistant`: callers talk with a chat model, which hears their words and speaks its own."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from mediaserver.audio import tones
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call
from mediaserver.config.speech_settings import RecognitionEngine, SpeechSettings
from mediaserver.handlers.assistant.conversation import Conversation, Words
from mediaserver.handlers.assistant.tools import Tools
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import files
from mediaserver.handlers.common.phrase import Manner, Text, values_of
from mediaserver.playout.sources.source import Clip, silence
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.text.template import Template

_LINGER_MS = 200


@lru_cache(maxsize=1)
def _tone() -> Clip:
    """What is heard where nothing can be said."""
    return Clip(to_bytes(tones.render(tones.parse("!480+620/250,!0/250,!480+620/250,!0/250", -10.0)).once))


def _template(text: str, description: str) -> Any:
    return Field(Template((), text), description=description)


class Assistant(files.Keeping, Manner, Handler):
    """Listens, thinks, speaks, until one side hangs up."""

    own_variables: ClassVar[frozenset[str]] = files.FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})
    template_settings: ClassVar[frozenset[str]] = frozenset(Words._fields)

    instructions: Text = Field(description="what the model is told first: who it is, what to do")
    greeting: Text = _template("", "said first")
    model: str = Field("", description="empty: chat.model")
    recognition_engine: RecognitionEngine | None = None
    end_silence: float = Field(0.6, ge=0.2, le=5, description="seconds of a pause that ends what a caller says")
    barge_in: bool = Field(True, description="whether callers' words and keys stop an answer")
    max_turns: int = Field(50, ge=1, description="after which the call is over")
    idle: float = Field(15.0, ge=1, le=600, description="seconds in which a caller says nothing")
    idle_text: Text = _template("Are you still there?", "said then, once; empty: hang up")
    apology: Text = _template("I am sorry, could you say that again?", "said where a stage fails")
    fallback: str = Field("", description="prompt that is heard where speech fails; empty: a tone")
    max_failures: int = Field(3, ge=1, description="in a row, before it gives up")
    on_failure: Literal["hang-up", "transfer"] = Field("hang-up", description="what giving up is")
    tools: Tools = Tools()
    directory: Path = Field(Path("transcripts"), description="of what is said")
    file: Annotated[str, AfterValidator(files.check)] | None = Field(None, description="a name template")

    @field_validator("instructions")
    @classmethod
    def _say_something(cls, instructions: Template) -> Template:
        if instructions == Template((), ""):
            raise ValueError("should say who the assistant is, and what it is to do")
        return instructions

    @model_validator(mode="after")
    def _can_transfer(self) -> "Assistant":
        if self.on_failure == "transfer" and self.tools.transfer is None:
            raise ValueError('on_failure = "transfer" needs tools.transfer, the URL that is asked')
        return self

    def prompt_names(self) -> Iterable[str]:
        """Its fallback, and what the model may play."""
        return dict.fromkeys(filter(None, (self.fallback, *self.tools.play)))

    def folders(self) -> Iterable[Path]:
        """Where transcripts are written, if they are."""
        return (self.directory,) if self.file is not None else ()

    def engines(self) -> Iterable[EngineRequirement]:
        """All three kinds."""
        return (
            self.need,
            EngineRequirement(EngineKind.STT, self.recognition_engine or "", self.language),
            EngineRequirement(EngineKind.LLM),
        )

    def prepare(self, speech: SpeechSettings) -> None:
        """Load what the texts need."""
        for template in self._templates():
            template.preload_language(self.language or speech.language)

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether there are values for all texts."""
        self._words(values_of(variables, query), self.language or speech.language)

    def _templates(self) -> Words[Template]:
        return Words(self.instructions, self.greeting, self.idle_text, self.apology)

    def _words(self, values: Mapping[str, str], language: str) -> Words[str]:
        return Words(*(template.render(values, language) for template in self._templates()))

    async def run(self, call: Call) -> None:
        """Talk."""
        stream = call.stream
        voice = call.speech.voice(self.engine or "", self.voice, self.rate, self.language)
        words = self._words(values_of(stream.variables, stream.query), voice.language)
        fallback = call.prompts.get(self.fallback) if self.fallback else _tone()
        await Conversation(self, call, voice, words, fallback).run()
        await call.play(silence(_LINGER_MS))
