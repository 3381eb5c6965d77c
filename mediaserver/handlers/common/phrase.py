"""What handlers say: texts with values in them, in a voice. All that can be wrong is told before a call begins.

Where a handler plays prompts, texts may stand between them: `["welcome", {say = "Press one."}]`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticKnownError

from mediaserver.call import Call
from mediaserver.config.fields import Table, validate_language_tag
from mediaserver.config.speech_settings import SpeechEngine, SpeechSettings
from mediaserver.events.kinds import EventKind
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


Text = Annotated[Template, BeforeValidator(_template)]
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Manner(BaseModel):
    """Settings of how a text sounds; what is not given is as `[speech]` says."""

    voice: str = Field("", max_length=200, description="a voice's name as the engine has it")
    rate: float | None = Field(None, ge=0.5, le=2.0, description="times the engine's own pace")
    language: Annotated[str, AfterValidator(lambda tag: tag and validate_language_tag(tag))] = Field(
        "", description="of the text: a BCP 47 tag"
    )
    engine: SpeechEngine | None = Field(None, description="the TTS engine that speaks it")

    @property
    def need(self) -> EngineRequirement:
        """The engine that speaks."""
        return EngineRequirement(EngineKind.TTS, self.engine or "", self.language, self.voice)

    def as_phrase(self, text: Template) -> "Phrase":
        """A text said in this manner."""
        return Phrase.model_construct(
            say=text, voice=self.voice, rate=self.rate, language=self.language, engine=self.engine
        )


class Phrase(Manner, Table):
    """A text, and how it sounds."""

    say: Text = Field(description="the text; it may have {variables}")

    def under(self, path: Manner) -> "Phrase":
        """The same, with what it does not say of itself as the path says. A voice is of its engine."""
        its_voice = path.voice if self.engine in (None, path.engine) else ""
        return self.model_copy(
            update={
                "voice": self.voice or its_voice,
                "rate": self.rate or path.rate,
                "language": self.language or path.language,
                "engine": self.engine or path.engine,
            }
        )

    def prepare(self, settings: SpeechSettings) -> None:
        """Load what its values' formats need, tens of milliseconds; ValueError where it can never be said."""
        self.say.preload_language(self.language or settings.language)
        if not self.say.names:
            self.check({}, settings)

    def check(self, values: Mapping[str, str], settings: SpeechSettings) -> None:
        """ValueError where it cannot be said with these values."""
        language = self.language or settings.language
        split_text(self.say.render(values, language), language, settings)

    def spoken(
        self,
        call: Call,
        fallback: Segment | None,
        values: Mapping[str, str] = _NOTHING,
        *,
        of_url: bool = False,
    ) -> SpokenText:
        """Its sound on a stream, begun at once; `values` stand over those that the stream has.

        `of_url`: the text is the URL's own. What strangers have put into a text has its turn behind other texts.

        ValueError where it cannot be said with these.
        """
        stream, speech = call.stream, call.speech
        voice: Voice = speech.voice(self.engine or "", self.voice, self.rate, self.language)
        text = self.say.render({**values_of(stream.variables, stream.query), **values}, voice.language)

        def failed(why: str) -> None:
            call.notify(EventKind.SPEECH_FAILED, {"why": why})

        origin = Origin(stream.route, stream.untrusted and (of_url or bool(self.say.names)))
        return speech.say(text, voice, fallback, failed, origin)


def values_of(variables: Mapping[str, str], query: Mapping[str, str]) -> Mapping[str, str]:
    """What a text's variables stand for: what the path or `attach` has, before what the URL's query says."""
    return {**query, **variables}


def values_said(texts: Iterable[Template], values: Mapping[str, str]) -> str:
    """The values that texts have in them, as far as they are there, in one text of their own."""
    names = dict.fromkeys(name for text in texts for name in text.names)
    return "\0".join(f"{name}={values[name]}" for name in names if name in values)


def _kind(value: Any) -> str:
    return "what is said" if isinstance(value, dict | Phrase) else "a prompt"


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | dict | Phrase) else value


# The name of a prompt, or what is to be said; one of these, or several in sequence.
Member = Annotated[Annotated[str, Tag("a prompt")] | Annotated[Phrase, Tag("what is said")], Discriminator(_kind)]
Members = Annotated[tuple[Member, ...], BeforeValidator(_several)]


def prompts_among(members: Iterable[str | Phrase]) -> list[str]:
    """The names of prompts."""
    return [member for member in members if isinstance(member, str)]


class Speaking(Manner):
    """Settings of handlers that say texts between prompts; what is not given of how one sounds is as here."""

    template_settings: ClassVar[frozenset[str]] = frozenset({"say"})

    fallback: str | None = Field(None, description="a prompt, heard where what is to be said cannot be")

    def members(self) -> Iterable[str | Phrase]:
        """All that it plays and says."""
        return ()

    def phrases(self, members: Iterable[str | Phrase]) -> list[Phrase]:
        """What is said among some members, as it sounds on this path."""
        return [member.under(self) for member in members if isinstance(member, Phrase)]

    def engines(self) -> Iterable[EngineRequirement]:
        """The engines that speak."""
        return [phrase.need for phrase in self.phrases(self.members())]

    def said_of_url(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The values in its texts."""
        return values_said((phrase.say for phrase in self.phrases(self.members())), values_of(variables, query))

    def prepare(self, speech: SpeechSettings) -> None:
        """Load what its texts need."""
        for phrase in self.phrases(self.members()):
            phrase.prepare(speech)

    def sound(
        self, members: Iterable[str | Phrase], call: Call, values: Mapping[str, str] = _NOTHING
    ) -> list[Segment | SpokenText]:
        """The sound of some members on a stream. ValueError where a text cannot be said with these values."""
        get = call.prompts.get
        fallback = get(self.fallback) if self.fallback else None
        return [
            get(member) if isinstance(member, str) else member.under(self).spoken(call, fallback, values)
            for member in members
        ]
