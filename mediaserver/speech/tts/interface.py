"""Text to sound: what an engine that speaks is."""

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from mediaserver.config.speech_settings import SpeechSettings


class Voice(NamedTuple):
    """How a text is to sound."""

    engine: str
    name: str = ""  # as the engine has it; empty: its own
    rate: float = 1.0  # times the engine's own pace
    language: str = "en"  # a BCP 47 tag


def voice_of(
    settings: SpeechSettings, engine: str = "", name: str = "", rate: float | None = None, language: str = ""
) -> Voice:
    """A voice: what is not given is as configured; a name that is, is that of the configured engine."""
    own = settings.voice if (engine or settings.engine) == settings.engine else ""
    return Voice(engine or settings.engine, name or own, rate or settings.rate, language or settings.language)


class Synthesiser(Protocol):
    """An engine that speaks. One serves all streams at once."""

    @property
    def identity(self) -> str:
        """The engine and its model: of the same text in the same voice it makes the same sound, more or less."""

    def speak(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """The sound of a sentence: 16-bit little-endian PCM at 8 kHz, mono, in pieces of any even length, each as
        soon as it is there. EngineError where there is none, or where it breaks off.

        In whole frames, it costs those who hear it what a prompt does.
        """

    def warm(self) -> None:
        """Be ready: the first sentence is to come as soon as any other."""

    @property
    def why_not_ready(self) -> str:
        """Why it is not, once it was told to be; "" where it is, as far as is known without asking it."""

    async def close(self) -> None:
        """Let go of what it runs on."""
