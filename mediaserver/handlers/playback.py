"""`playback`: prompts, once or again and again."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from mediaserver.handlers.base import Ending, Handler
from mediaserver.playout.sources import Playlist, Repeated, silence
from mediaserver.session import Session

MAX_REPEAT = 1_000_000


def _count(value: Any) -> Any:
    if value == "forever":
        return value
    if isinstance(value, int | str) and str(value).isascii() and str(value).isdecimal():
        count = int(str(value)[:20])
        if 1 <= count <= MAX_REPEAT:
            return count
    raise ValueError(f'should be a count of 1 to {MAX_REPEAT}, or "forever"')


class Playback(Ending, Handler):
    """Plays `prompt`, or `prompts` in sequence, gapless to the sample."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"repeat"})

    prompt: str | None = None
    prompts: tuple[str, ...] = ()
    repeat: Annotated[int | Literal["forever"], BeforeValidator(_count)] = 1
    gap_ms: int = Field(0, ge=0, le=600_000, description="silence between two prompts, and between two repeats")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Playback":
        if bool(self.prompt) == bool(self.prompts):
            raise ValueError('give either "prompt" or "prompts"')
        return self

    def prompt_names(self) -> Iterable[str]:
        """The prompts it plays."""
        return (self.prompt,) if self.prompt else self.prompts

    async def run(self, session: Session) -> None:
        """Play, then close or fall silent."""
        runs = [session.library.get(name) for name in self.prompt_names()]
        times = None if self.repeat == "forever" else self.repeat
        await session.play(Playlist(Repeated(runs, times, silence(self.gap_ms) if self.gap_ms else None)))
        await self.conclude(session)
