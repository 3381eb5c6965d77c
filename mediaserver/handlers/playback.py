"""The `playback` handler: plays recorded and spoken prompts, once or repeatedly."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.base import Ending, Handler, PlaybackSettings
from mediaserver.handlers.common.spoken_prompt import (
    PromptItem,
    SpokenPrompt,
    SpokenPromptSettings,
    prompt_names_in,
    template_values,
)
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Segment, silence

MAX_REPEAT = 1_000_000


def _count(value: Any) -> Any:
    if value == "forever":
        return value
    if isinstance(value, int | str) and str(value).isascii() and str(value).isdecimal():
        count = int(str(value)[:20])
        if 1 <= count <= MAX_REPEAT:
            return count
    raise ValueError(f'should be a count of 1 to {MAX_REPEAT}, or "forever"')


class RepeatSettings(BaseModel):
    """Settings of handlers whose media may be repeated."""

    repeat: Annotated[int | Literal["forever"], BeforeValidator(_count)] = 1
    gap_ms: int = Field(0, ge=0, le=600_000, description="Milliseconds of silence between two items.")

    def repeat_items(self, prompt_items: Sequence[Segment | Iterable[Segment]]) -> Repeated:
        """The prompts, repeated `repeat` times, with a silence of `gap_ms` milliseconds between them."""
        times = None if self.repeat == "forever" else self.repeat
        return Repeated(prompt_items, times, silence(self.gap_ms) if self.gap_ms else None)


class Playback(RepeatSettings, SpokenPromptSettings, Ending, PlaybackSettings, Handler):
    """Plays `prompt`, or all of `prompts` in sequence, without a gap between prompts unless `gap_ms` is set."""

    query_settings: ClassVar[frozenset[str]] = PlaybackSettings.query_settings | {"repeat"}

    prompt: PromptItem | None = Field(
        None,
        description="The name of a prompt: its path in the prompt folder, without the extension; or a text that is"
        " spoken.",
    )
    prompts: tuple[PromptItem, ...] = Field((), description="In place of `prompt`: several in sequence, gapless.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Playback":
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError('give either "prompt" or "prompts"')
        return self

    def prompt_items(self) -> tuple[str | SpokenPrompt, ...]:
        """All prompts of the URL path in sequence: names of recorded prompts, and spoken prompts."""
        return (self.prompt,) if self.prompt else self.prompts

    def prompt_names(self) -> Iterable[str]:
        """The names of the recorded prompts, and of the fallback prompt."""
        names = prompt_names_in(self.prompt_items())
        return [*names, self.fallback] if self.fallback else names

    def looped_prompts(self) -> Iterable[str]:
        """The names of the prompts, if they are repeated without a gap, and no text is spoken between them."""
        items = self.prompt_items()
        names = prompt_names_in(items)
        return names if self.repeat != 1 and not self.gap_ms and len(names) == len(items) else ()

    def validate_request(
        self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings
    ) -> None:
        """Raise ValueError if a prompt's text cannot be spoken, such as when a variable has no value."""
        for spoken_prompt in self.spoken_prompts(self.prompt_items()):
            spoken_prompt.validate_values(template_values(variables, query), speech)

    async def run(self, call: Call) -> None:
        """Play the prompts, then do what the setting `then` says."""
        await call.play(Playlist(self.repeat_items(self.render(self.prompt_items(), call))))
        await self.conclude(call)
