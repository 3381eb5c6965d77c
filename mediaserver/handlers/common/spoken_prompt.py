"""Spoken prompts: texts with variables that TTS speaks. Mistakes in a text are found before a call begins.

In a handler's list of prompts, spoken and recorded prompts may be mixed: `["welcome", {say = "Press one."}]`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticKnownError

from mediaserver.call import Call
from mediaserver.config.fields import OptionalLanguageTag, Table
from mediaserver.config.speech_settings import SpeechEngines, SpeechSettings
from mediaserver.events.kinds import EventKind
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.service import split_text
from mediaserver.speech.text.template import Template
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesis_queue import Origin


def _template(value: Any) -> Any:
    if not isinstance(value, str | Template):
        raise PydanticKnownError("string_type")
    return Template.parse(value) if isinstance(value, str) else value


Text = Annotated[Template, BeforeValidator(_template, json_schema_input_type=str)]
_NO_VALUES: Mapping[str, str] = MappingProxyType({})


class VoiceSettings(BaseModel):
    """Settings of the voice that speaks a text. A setting that is not given has its value from `[speech]`."""

    voice: str = Field("", max_length=200, description="The voice that speaks, by the engine's name for it.")
    rate: float | None = Field(None, ge=0.5, le=2.0, description="The speed, relative to the engine's own.")
    language: OptionalLanguageTag = Field("", description="The language of the text, a BCP 47 tag.")
    engine: SpeechEngines | None = Field(
        None, description="The TTS engine that speaks, or a list of engines in order."
    )

    @property
    def need(self) -> EngineRequirement:
        """The TTS engines, language and voice that these settings need."""
        return EngineRequirement(EngineKind.TTS, self.engine or (), self.language, self.voice)

    def spoken_prompt(self, text: Template) -> "SpokenPrompt":
        """A spoken prompt of `text` with these voice settings."""
        return SpokenPrompt.model_construct(
            say=text, voice=self.voice, rate=self.rate, language=self.language, engine=self.engine
        )


class SpokenPrompt(VoiceSettings, Table):
    """A text that TTS speaks, and the settings of its voice."""

    say: Text = Field(description="The text. It may have {variables}.")

    def with_defaults(self, path: VoiceSettings) -> "SpokenPrompt":
        """A copy in which settings of `path` fill in the voice settings that this prompt lacks.

        If this prompt names another first engine than the URL path, the URL path's voice is not filled in, because
        the other engine would not have that voice.
        """
        same = self.engine is None or (path.engine is not None and self.engine[0] == path.engine[0])
        voice = path.voice if same else ""
        return self.model_copy(
            update={
                "voice": self.voice or voice,
                "rate": self.rate or path.rate,
                "language": self.language or path.language,
                "engine": self.engine or path.engine,
            }
        )

    def prepare(self, settings: SpeechSettings) -> None:
        """Load the language data that the formats of the text's variables need, which takes tens of milliseconds.

        ValueError if the text can never be spoken.
        """
        self.say.preload_language(self.language or settings.language)
        if not self.say.names:
            self.validate_values({}, settings)

    def validate_values(self, values: Mapping[str, str], settings: SpeechSettings) -> None:
        """Raise ValueError if the text cannot be spoken with `values`, the values of its variables by name."""
        language = self.language or settings.language
        split_text(self.say.render(values, language), language, settings)

    def synthesise(
        self,
        call: Call,
        fallback: Segment | None,
        values: Mapping[str, str] = _NO_VALUES,
        *,
        from_url: bool = False,
    ) -> SpokenText:
        """Begin to synthesise the text for a call, and return its sound. `values` override the stream's variables.

        `from_url` says that the text itself is from the URL's query. A text has a lower priority for TTS if an
        untrusted peer wrote the text or the value of a variable in it, or chose its language. If TTS fails,
        `fallback` is played, and the event `speech.failed` is emitted.

        ValueError if the text cannot be spoken with these values.
        """
        stream, speech = call.stream, call.speech
        voice: Voice = speech.voice(self.engine or (), self.voice, self.rate, self.language)
        text = self.say.render({**template_values(stream.variables, stream.query), **values}, voice.language)

        def on_failure(why: str) -> None:
            call.notify(EventKind.SPEECH_FAILED, {"why": why})

        by_peer = from_url or bool(self.say.names) or "language" in stream.query
        origin = Origin(stream.route, stream.untrusted and by_peer)
        return speech.say(text, voice, fallback, on_failure, origin)


def template_values(variables: Mapping[str, str], query: Mapping[str, str]) -> Mapping[str, str]:
    """The values of a text's variables. Values from the URL path or `attach` override values from the query."""
    return {**query, **variables}


def spoken_values(texts: Iterable[Template], values: Mapping[str, str]) -> str:
    """The variables in `texts` with their values, as one string. Two strings differ if the spoken texts differ."""
    names = dict.fromkeys(name for text in texts for name in text.names)
    return "\0".join(f"{name}={values[name]}" for name in names if name in values)


def prompt_kind(value: Any) -> str:
    """The tag of a `PromptItem` that is to be validated."""
    return "what is said" if isinstance(value, dict | SpokenPrompt) else "a prompt"


def as_items(value: Any) -> Any:
    """The items of what is to be played: `value` itself, or one item alone in a tuple."""
    return (value,) if isinstance(value, str | dict | SpokenPrompt) else value


# A `PromptItem` is the name of a recorded prompt, or a spoken prompt. `PromptItems` are one item, or a sequence.
PromptItem = Annotated[
    Annotated[str, Tag("a prompt")] | Annotated[SpokenPrompt, Tag("what is said")], Discriminator(prompt_kind)
]
PromptItems = Annotated[
    tuple[PromptItem, ...],
    BeforeValidator(as_items, json_schema_input_type=PromptItem | tuple[PromptItem, ...]),
]


def prompt_names_in(prompt_items: Iterable[str | SpokenPrompt]) -> list[str]:
    """The names of the recorded prompts in a handler's list of recorded and spoken prompts."""
    return [item for item in prompt_items if isinstance(item, str)]


class SpokenPromptSettings(VoiceSettings):
    """Settings of handlers that play recorded and spoken prompts. The voice is the default for spoken prompts."""

    template_settings: ClassVar[frozenset[str]] = frozenset({"say"})

    fallback: str | None = Field(None, description="A prompt that is played where a text cannot be spoken.")

    def prompt_items(self) -> Iterable[str | SpokenPrompt]:
        """All prompts of the handler: names of recorded prompts, and spoken prompts."""
        return ()

    def spoken_prompts(self, prompt_items: Iterable[str | SpokenPrompt]) -> list[SpokenPrompt]:
        """The spoken prompts in a list of prompts, with the voice settings of this URL path as defaults."""
        return [item.with_defaults(self) for item in prompt_items if isinstance(item, SpokenPrompt)]

    def engines(self) -> Iterable[EngineRequirement]:
        """The TTS engines that speak the handler's spoken prompts."""
        return [spoken_prompt.need for spoken_prompt in self.spoken_prompts(self.prompt_items())]

    def spoken_url_text(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The variables in the texts of all spoken prompts with their values, as one string."""
        return spoken_values(
            (spoken_prompt.say for spoken_prompt in self.spoken_prompts(self.prompt_items())),
            template_values(variables, query),
        )

    def prepare(self, speech: SpeechSettings) -> None:
        """Load the language data that the spoken prompts need. ValueError if a text can never be spoken."""
        for spoken_prompt in self.spoken_prompts(self.prompt_items()):
            spoken_prompt.prepare(speech)

    def render(
        self,
        prompt_items: Iterable[str | SpokenPrompt],
        call: Call,
        values: Mapping[str, str] = _NO_VALUES,
        *,
        prompts: PromptSnapshot | None = None,
    ) -> list[Segment | SpokenText]:
        """The sounds of a list of prompts for a call. ValueError if a text cannot be spoken with these values.

        Recorded prompts are looked up in `prompts`. Without `prompts`, they are looked up among the call's
        prompts, as these were when the call began.
        """
        get = (prompts or call.prompts).get
        fallback = get(self.fallback) if self.fallback else None
        return [
            get(item) if isinstance(item, str) else item.with_defaults(self).synthesise(call, fallback, values)
            for item in prompt_items
        ]
