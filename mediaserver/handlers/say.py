"""`say`: a text, spoken."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field

from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.base import Ending, Handler
from mediaserver.handlers.common.phrase import Manner, Phrase, Text, values_of, values_said
from mediaserver.handlers.playback import Repeating
from mediaserver.playout.sources.source import Playlist
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.speech.text.template import Template


class Say(Repeating, Manner, Ending, Handler):
    """Says `text`, or the one that the URL's query has."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"repeat", "text"})
    template_settings: ClassVar[frozenset[str]] = frozenset({"text"})

    text: Text | None = None
    text_from_url: bool | None = Field(
        None, description="whether ?text= is said; None: where the path asks for a token"
    )
    fallback: str | None = None

    def prompt_names(self) -> Iterable[str]:
        """What is heard where the engine fails."""
        return (self.fallback,) if self.fallback else ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The engine that speaks."""
        return (self.need,)

    def prepare(self, speech: SpeechSettings) -> None:
        """Load what the text needs."""
        if self.text is not None:
            self.as_phrase(self.text).prepare(speech)

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether there is a text to say, and all its values."""
        self._phrase(query).check(values_of(variables, query), speech)

    def said_of_url(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The URL's own text, or the values in the path's."""
        if "text" in query:
            return query["text"]
        return values_said([self.text] if self.text is not None else [], values_of(variables, query))

    async def run(self, call: Call) -> None:
        """Say it, then close or fall silent."""
        fallback = call.prompts.get(self.fallback) if self.fallback else None
        query = call.stream.query
        spoken = self._phrase(query).spoken(call, fallback, of_url="text" in query)
        await call.play(Playlist(self.repeated([spoken])))
        await self.conclude(call)

    def _phrase(self, query: Mapping[str, str]) -> Phrase:
        text = Template((), query["text"]) if "text" in query else self.text  # a caller's is no template
        if text is None:
            raise ValueError("there is no text: ?text= says it")
        return self.as_phrase(text)
