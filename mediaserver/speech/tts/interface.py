"""The interface of a text-to-speech (TTS) engine, and the choice of a voice."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from mediaserver.config.speech_settings import SpeechSettings


class Voice(NamedTuple):
    """The engine and the voice that speak a text, and the voices that speak if that engine fails."""

    engine: str
    name: str = ""  # the engine's name for the voice; "" for the engine's default voice
    rate: float = 1.0  # the speed of speech, as a multiple of the engine's normal speed
    language: str = "en"  # the language of the text, a BCP 47 tag
    others: tuple["Voice", ...] = ()  # the voices of the engines that are tried after this one, in order

    @property
    def in_order(self) -> "tuple[Voice, ...]":
        """This voice and the voices of the engines after it, in the order in which they are tried."""
        return (self._replace(others=()), *self.others)


def resolve_voice(
    settings: SpeechSettings,
    engines: Sequence[str] = (),
    name: str = "",
    rate: float | None = None,
    language: str = "",
) -> Voice:
    """The voice that these arguments choose. The settings give the value of each argument that is left out.

    `name` is a voice of the first of the `engines`, because engines do not have the same voices. The setting
    `speech.voice` is a voice of the first engine in `speech.engine`. Any other engine speaks with the voice of its
    own settings, such as `speech.openai.voice`.
    """
    engines = engines or settings.engine
    first, *others = (
        Voice(
            engine,
            (name if not place else "") or settings.voice_of(engine),
            rate or settings.rate,
            language or settings.language,
        )
        for place, engine in enumerate(engines)
    )
    return first._replace(others=tuple(others))


class TtsEngine(Protocol):
    """A TTS engine. One instance serves all calls at the same time."""

    @property
    def identity(self) -> str:
        """A part of the TTS cache's key: engine and model. It must change whenever the engine's sound changes."""

    def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """Yield the speech of one sentence as 16-bit little-endian PCM, 8 kHz, mono.

        Each piece of PCM is yielded as soon as the engine gives it. Its size is any even number of bytes. A piece
        whose size is a multiple of 320 bytes (one frame) costs no more CPU time to play than a prompt. Raises
        EngineError if the engine gives no speech, or stops before the end of the sentence.
        """

    def preload(self) -> None:
        """Start what the engine needs, so that the first sentence takes no longer than later sentences."""

    @property
    def not_ready_reason(self) -> str:
        """Why the engine is not ready yet after `preload`; "" if it is ready, or has nothing to start."""

    async def close(self) -> None:
        """Stop the engine's processes and connections, if it has any of its own."""
