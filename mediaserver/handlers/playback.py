"""`playback`: prompts, and what is spoken between them, once or again and again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.base import Ending, Handler
from mediaserver.handlers.common.phrase import Member, Phrase, Speaking, prompts_among, values_of
from mediaserver.playout.sources.source import Playlist, Repeated, Segment, silence

MAX_REPEAT = 1_000_000


def _count(value: Any) -> Any:
    if value == "forever":
        return value
    if isinstance(value, int | str) and str(value).isascii() and str(value).isdecimal():
        count = int(str(value)[:20])
        if 1 <= count <= MAX_REPEAT:
            return count
    raise ValueError(f'should be a count of 1 to {MAX_REPEAT}, or "forever"')


class Repeating(BaseModel):
    """Settings of handlers whose media may be heard several times."""

    repeat: Annotated[int | Literal["forever"], BeforeValidator(_count)] = 1
    gap_ms: int = Field(0, ge=0, le=600_000, description="silence between two prompts, and between two repeats")

    def repeated(self, members: Sequence[Segment | Iterable[Segment]]) -> Repeated:
        """As often as it should be."""
        times = None if self.repeat == "forever" else self.repeat
        return Repeated(members, times, silence(self.gap_ms) if self.gap_ms else None)


class Playback(Repeating, Speaking, Ending, Handler):
    """Plays `prompt`, or `prompts` in sequence, gapless to the sample."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"repeat"})

    prompt: str | None = Field(None, description="a prompt's name: its path in the folder, without the extension")
    prompts: tuple[Member, ...] = Field((), description="in place of `prompt`: several in sequence, gapless")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Playback":
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError('give either "prompt" or "prompts"')
        return self

    def members(self) -> tuple[str | Phrase, ...]:
        """All that it plays and says."""
        return (self.prompt,) if self.prompt else self.prompts

    def prompt_names(self) -> Iterable[str]:
        """The prompts it plays."""
        names = prompts_among(self.members())
        return [*names, self.fallback] if self.fallback else names

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether all values of its texts are there."""
        for phrase in self.phrases(self.members()):
            phrase.check(values_of(variables, query), speech)

    async def run(self, call: Call) -> None:
        """Play, then close or fall silent."""
        await call.play(Playlist(self.repeated(self.sound(self.members(), call))))
        await self.conclude(call)
