"""The interface of a text-to-speech (TTS) engine, and the voice that it is asked for."""

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from mediaserver.config.speech_settings import SpeechSettings


class Voice(NamedTuple):
    """The engine and the voice that speak a text."""

    engine: str
    name: str = ""  # as the engine names it; empty: the engine's default
    rate: float = 1.0  # a multiple of the engine's own pace
    language: str = "en"  # a BCP 47 tag


def resolve_voice(
    settings: SpeechSettings, engine: str = "", name: str = "", rate: float | None = None, language: str = ""
) -> Voice:
    """A voice, with the configured value for each argument that is not given.

    The configured name of a voice belongs to the configured engine, and is not used for another engine.
    """
    configured = settings.voice if (engine or settings.engine) == settings.engine else ""
    return Voice(
        engine or settings.engine, name or configured, rate or settings.rate, language or settings.language
    )


class TtsEngine(Protocol):
    """A TTS engine. One instance serves all calls at the same time."""

    @property
    def identity(self) -> str:
        """The engine and its model, as a part of the cache's key. It must change whenever the sound changes."""

    def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """Yield the speech of one sentence as 16-bit little-endian PCM, 8 kHz, mono.

        The pieces have any even number of bytes, and each is yielded as soon as it is there. Where they are whole
        frames of 320 bytes, playing them costs no more than playing a prompt. Raises EngineError where there is no
        speech, or where it breaks off.
        """

    def preload(self) -> None:
        """Start what the engine needs, so that the first sentence takes no longer than later ones."""

    @property
    def not_ready_reason(self) -> str:
        """Why a preloaded engine is not ready yet; "" if no reason is known. The engine itself is not asked."""

    async def close(self) -> None:
        """Stop the engine's processes and connections, if it has any of its own."""
