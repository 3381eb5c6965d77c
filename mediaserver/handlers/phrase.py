"""What handlers say: texts with values in them, in a voice. All that can be wrong is told before a call begins."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from mediaserver.playout.sources import Run
from mediaserver.session import Session
from mediaserver.settings.kinds import Table, is_language
from mediaserver.settings.speech import SpeechEngine, SpeechSettings
from mediaserver.speech.available import Need
from mediaserver.speech.service import sentences_of
from mediaserver.speech.spoken import Spoken
from mediaserver.speech.synthesis import Voice
from mediaserver.speech.template import Template


def _template(value: Any) -> Any:
    return Template.parse(value) if isinstance(value, str) else value


Text = Annotated[Template, BeforeValidator(_template)]


class Manner(BaseModel):
    """Settings of how a text sounds; what is not given is as `[speech]` says."""

    voice: str = Field("", max_length=200)
    rate: float | None = Field(None, ge=0.5, le=2.0, description="times the engine's own pace")
    language: Annotated[str, AfterValidator(lambda tag: tag and is_language(tag))] = ""
    engine: SpeechEngine | None = None

    @property
    def need(self) -> Need:
        """The engine that speaks."""
        return Need("speech", self.engine or "", self.language, self.voice)

    def as_phrase(self, text: Template) -> "Phrase":
        """A text said in this manner."""
        return Phrase.model_construct(
            say=text, voice=self.voice, rate=self.rate, language=self.language, engine=self.engine
        )


class Phrase(Manner, Table):
    """A text, and how it sounds."""

    say: Text

    def prepare(self, settings: SpeechSettings) -> None:
        """Load what its values' formats need, tens of milliseconds; ValueError where it can never be said."""
        self.say.prepare(self.language or settings.language)
        if not self.say.names:
            self.check({}, settings)

    def check(self, values: Mapping[str, str], settings: SpeechSettings) -> None:
        """ValueError where it cannot be said with these values."""
        language = self.language or settings.language
        sentences_of(self.say.render(values, language), language, settings)

    def spoken(self, session: Session, fallback: Run | None) -> Spoken:
        """Its sound on a stream, begun at once."""
        stream, speech = session.stream, session.speech
        voice: Voice = speech.voice(self.engine or "", self.voice, self.rate, self.language)
        text = self.say.render(values_of(stream.variables, stream.query), voice.language)

        def failed(why: str) -> None:
            session.notify("speech.failed", {"why": why})

        return speech.say(text, voice, fallback, failed)


def values_of(variables: Mapping[str, str], query: Mapping[str, str]) -> Mapping[str, str]:
    """What a text's variables stand for: what the path or `attach` has, before what the URL's query says."""
    return {**query, **variables}
