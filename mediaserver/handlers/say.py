"""The `say` handler: speaks a text by TTS."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field

from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.base import Ending, Handler, PlaybackSettings
from mediaserver.handlers.common.spoken_prompt import (
    SpokenPrompt,
    Text,
    VoiceSettings,
    spoken_values,
    template_values,
)
from mediaserver.handlers.playback import RepeatSettings
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.speech.text.template import Template


class Say(RepeatSettings, VoiceSettings, Ending, PlaybackSettings, Handler):
    """Speaks the setting `text`, or the text that the URL's query has as `?text=`."""

    query_settings: ClassVar[frozenset[str]] = PlaybackSettings.query_settings | {"repeat", "text"}
    template_settings: ClassVar[frozenset[str]] = frozenset({"text"})

    text: Text | None = None
    text_from_url: bool | None = Field(
        None, description="Whether ?text= is spoken. None: where the path asks for a token."
    )
    fallback: str | None = None

    def prompt_names(self) -> Iterable[str]:
        """The name of the fallback prompt, which is played if TTS fails."""
        return (self.fallback,) if self.fallback else ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The TTS engine that speaks the text."""
        return (self.need,)

    def prepare(self, speech: SpeechSettings) -> None:
        """Load the language data that the formats of the text's variables need."""
        if self.text is not None:
            self.spoken_prompt(self.text).prepare(speech)

    def validate_request(
        self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings
    ) -> None:
        """Raise ValueError if there is no text, or it cannot be spoken, such as when a variable has no value."""
        self._phrase(query).validate_values(template_values(variables, query), speech)

    def spoken_url_text(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The URL's `text`; without it, the variables in the setting `text` with their values, as one string."""
        if "text" in query:
            return query["text"]
        return spoken_values([self.text] if self.text is not None else [], template_values(variables, query))

    async def run(self, call: Call) -> None:
        """Speak the text, then do what the setting `then` says."""
        fallback = call.prompts.get(self.fallback) if self.fallback else None
        query = call.stream.query
        spoken = self._phrase(query).synthesise(call, fallback, from_url="text" in query)
        await call.play(Playlist(self.repeat_items([spoken])))
        await self.conclude(call)

    def _phrase(self, query: Mapping[str, str]) -> SpokenPrompt:
        text = Template((), query["text"]) if "text" in query else self.text  # a URL's text has no variables
        if text is None:
            raise ValueError("no text is set: add ?text=… to the URL")
        return self.spoken_prompt(text)
