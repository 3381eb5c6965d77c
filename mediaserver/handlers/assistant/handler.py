"""`assistant`: callers talk with a chat model, which hears their words and speaks its own."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from mediaserver.audio import tones
from mediaserver.audio.pcm import to_bytes
from mediaserver.handlers import files
from mediaserver.handlers.assistant.conversation import Conversation
from mediaserver.handlers.assistant.tools import Tools
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources import Clip, silence
from mediaserver.session import Session
from mediaserver.settings.speech import RecognitionEngine, SpeechEngine
from mediaserver.speech import Need

_LINGER_MS = 200
_Language = Annotated[str, Field(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$")]


@lru_cache(maxsize=1)
def _tone() -> Clip:
    """What is heard where nothing can be said."""
    return Clip(to_bytes(tones.render(tones.parse("!480+620/250,!0/250,!480+620/250,!0/250", -10.0)).once))


class Assistant(Handler):
    """Listens, thinks, speaks, until one side hangs up."""

    own_variables: ClassVar[frozenset[str]] = files.FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})

    instructions: str = Field(min_length=1, description="what the model is told first: who it is, what to do")
    greeting: str = Field("", description="said first")
    model: str = Field("", description="empty: chat.model")
    speech_engine: SpeechEngine | None = None
    voice: str = ""
    rate: float | None = Field(None, ge=0.5, le=2.0)
    language: _Language = ""
    recognition_engine: RecognitionEngine | None = None
    end_silence: float = Field(0.6, ge=0.2, le=5, description="seconds of a pause that ends what a caller says")
    barge_in: bool = Field(True, description="whether callers' words stop an answer")
    max_turns: int = Field(50, ge=1, description="after which the call is over")
    idle: float = Field(15.0, ge=1, le=600, description="seconds in which a caller says nothing")
    idle_text: str = Field("Are you still there?", description="said then, once; empty: hang up")
    apology: str = Field("I am sorry, could you say that again?", description="said where a stage fails")
    fallback: str = Field("", description="prompt that is heard where speech fails; empty: a tone")
    max_failures: int = Field(3, ge=1, description="in a row, before it gives up")
    on_failure: Literal["hang-up", "transfer"] = Field("hang-up", description="what giving up is")
    tools: Tools = Tools()
    directory: Path = Field(Path("transcripts"), description="of what is said")
    file: Annotated[str, AfterValidator(files.check)] | None = Field(None, description="a name template")

    @model_validator(mode="after")
    def _can_transfer(self) -> "Assistant":
        if self.on_failure == "transfer" and self.tools.transfer is None:
            raise ValueError('on_failure = "transfer" needs tools.transfer, the URL that is asked')
        return self

    def prompt_names(self) -> Iterable[str]:
        """Its fallback, and what the model may play."""
        return dict.fromkeys(filter(None, (self.fallback, *self.tools.play)))

    def engines(self) -> Iterable[Need]:
        """All three kinds."""
        return (
            Need("speech", self.speech_engine or ""),
            Need("recognition", self.recognition_engine or ""),
            Need("chat"),
        )

    async def run(self, session: Session) -> None:
        """Talk."""
        fallback = session.library.get(self.fallback) if self.fallback else _tone()
        await Conversation(self, session, fallback).run()
        await session.play(silence(_LINGER_MS))
