"""The `assistant` handler: callers talk with a chat model (LLM), by way of STT and TTS."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from mediaserver.audio import tones
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.assistant.conversation import Conversation
from mediaserver.handlers.assistant.settings import AssistantSettings, AssistantTexts
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.handlers.common import files
from mediaserver.handlers.common.spoken_prompt import prompt_names_in, template_values
from mediaserver.playout.sources.source import Clip, silence
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.text.template import Template
from mediaserver.wire.voipbin.destination import Destination

_LINGER_MS = 200  # the silence in milliseconds before the stream closes, so that the last word is not cut off


@lru_cache(maxsize=1)
def _error_tone() -> Clip:
    """The tone that is played if TTS fails and there is no fallback prompt."""
    return Clip(
        to_bytes(tones.render(tones.parse("!480+620/250,!0/250,!480+620/250,!0/250", -10.0)).once), name="tone"
    )


class Assistant(AssistantSettings, PlaybackSettings, Handler):
    """Listens to the caller, has a model answer, and speaks the answer, turn by turn until one side hangs up."""

    own_variables: ClassVar[frozenset[str]] = files.TEMPLATE_FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})
    template_settings: ClassVar[frozenset[str]] = frozenset(AssistantTexts._fields) | {"say"}

    def prompt_names(self) -> Iterable[str]:
        """The names of the fallback prompt, of the fillers, and of the prompts that the model may play."""
        return dict.fromkeys(filter(None, (self.fallback, *prompt_names_in(self.filler), *self.tools.play)))

    def folders(self) -> Iterable[Path]:
        """The folder that transcripts are written into; none if the setting `file` is missing."""
        return (self.directory,) if self.file is not None else ()

    def flow_needs(self) -> Iterable[str]:
        """The setting `tools.transfer`, if it is a destination: only VoIPBIN's flow can transfer a call there."""
        return ["tools.transfer"] if isinstance(self.tools.transfer, Destination) else []

    def engines(self) -> Iterable[EngineRequirement]:
        """The TTS, STT and LLM engines that the conversations need."""
        return (
            self.need,
            *(spoken.need for spoken in self.spoken_fillers),
            EngineRequirement(EngineKind.STT, self.recognition_engine or (), self.language),
            EngineRequirement(EngineKind.LLM),
        )

    def prepare(self, speech: SpeechSettings) -> None:
        """Load the language data for the variables in texts. ValueError if a filler can never be spoken."""
        for template in self._templates():
            template.preload_language(self.language or speech.language)
        for spoken in self.spoken_fillers:
            spoken.prepare(speech)

    def validate_request(
        self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings
    ) -> None:
        """Raise ValueError if one of the assistant's texts has a variable without a value."""
        values = template_values(variables, query)
        self._render(values, self.language or speech.language)
        for spoken in self.spoken_fillers:
            spoken.validate_values(values, speech)

    def _templates(self) -> AssistantTexts[Template]:
        return AssistantTexts(self.instructions, self.greeting, self.idle_text, self.apology)

    def _render(self, values: Mapping[str, str], language: str) -> AssistantTexts[str]:
        return AssistantTexts(*(template.render(values, language) for template in self._templates()))

    async def run(self, call: Call) -> None:
        """Hold the conversation with one caller."""
        stream = call.stream
        voice = call.speech.voice(self.engine or (), self.voice, self.rate, self.language)
        texts = self._render(template_values(stream.variables, stream.query), voice.language)
        fallback = call.prompts.get(self.fallback) if self.fallback else _error_tone()
        await Conversation(self, call, voice, texts, fallback).run()
        await call.play(silence(_LINGER_MS))
