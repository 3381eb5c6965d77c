"""`playback`: prompts, and what is spoken between them, once or again and again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from mediaserver.handlers.base import Ending, Handler
from mediaserver.handlers.phrase import Phrase, values_of
from mediaserver.playout.sources import Playlist, Repeated, Run, silence
from mediaserver.session import Session
from mediaserver.settings.speech import SpeechSettings
from mediaserver.speech.available import Need

MAX_REPEAT = 1_000_000


def _count(value: Any) -> Any:
    if value == "forever":
        return value
    if isinstance(value, int | str) and str(value).isascii() and str(value).isdecimal():
        count = int(str(value)[:20])
        if 1 <= count <= MAX_REPEAT:
            return count
    raise ValueError(f'should be a count of 1 to {MAX_REPEAT}, or "forever"')


def _kind(value: Any) -> str:
    return "what is said" if isinstance(value, dict | Phrase) else "a prompt"


# The name of a prompt, or what is to be said.
Member = Annotated[Annotated[str, Tag("a prompt")] | Annotated[Phrase, Tag("what is said")], Discriminator(_kind)]


class Repeating(BaseModel):
    """Settings of handlers whose media may be heard several times."""

    repeat: Annotated[int | Literal["forever"], BeforeValidator(_count)] = 1
    gap_ms: int = Field(0, ge=0, le=600_000, description="silence between two prompts, and between two repeats")

    def repeated(self, members: Sequence[Run | Iterable[Run]]) -> Repeated:
        """As often as it should be."""
        times = None if self.repeat == "forever" else self.repeat
        return Repeated(members, times, silence(self.gap_ms) if self.gap_ms else None)


class Playback(Repeating, Ending, Handler):
    """Plays `prompt`, or `prompts` in sequence, gapless to the sample."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"repeat"})
    template_settings: ClassVar[frozenset[str]] = frozenset({"say"})

    prompt: str | None = None
    prompts: tuple[Member, ...] = ()
    fallback: str | None = Field(None, description="a prompt, heard where what is to be said cannot be")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Playback":
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError('give either "prompt" or "prompts"')
        return self

    def prompt_names(self) -> Iterable[str]:
        """The prompts it plays."""
        names = [member for member in self._members if isinstance(member, str)]
        return [*names, self.fallback] if self.fallback else names

    def engines(self) -> Iterable[Need]:
        """The engines that speak."""
        return [phrase.need for phrase in self._phrases]

    def prepare(self, speech: SpeechSettings) -> None:
        """Load what its texts need."""
        for phrase in self._phrases:
            phrase.prepare(speech)

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether all values of its texts are there."""
        for phrase in self._phrases:
            phrase.check(values_of(variables, query), speech)

    async def run(self, session: Session) -> None:
        """Play, then close or fall silent."""
        get = session.library.get
        fallback = get(self.fallback) if self.fallback else None
        members: list[Run | Iterable[Run]] = [
            get(member) if isinstance(member, str) else member.spoken(session, fallback)
            for member in self._members
        ]
        await session.play(Playlist(self.repeated(members)))
        await self.conclude(session)

    @property
    def _members(self) -> tuple[str | Phrase, ...]:
        return (self.prompt,) if self.prompt else self.prompts

    @property
    def _phrases(self) -> list[Phrase]:
        return [member for member in self._members if isinstance(member, Phrase)]
