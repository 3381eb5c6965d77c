"""The work of the command `mediaserver say`: synthesise a text, and write its speech to a prompt file."""

from contextlib import suppress
from pathlib import Path

from mediaserver.audio.containers import wav
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.speech.service import SpeechService
from mediaserver.speech.tts.interface import Voice

_TIMEOUT = 60.0  # seconds to wait for an engine's audio; more than during calls, because no caller waits


def validate_prompt_file(file: Path) -> None:
    """Raise ValueError if no prompt can be written to the file path `file`."""
    if file.suffix.lower() != ".wav" or file.name.startswith("."):
        raise ValueError("should be named something.wav")
    if file.is_dir():
        raise ValueError("is a folder")
    if not file.parent.is_dir():
        raise ValueError(f"there is no folder {file.parent}")


async def synthesise_text(text: str, settings: SpeechSettings, voice: Voice) -> bytes:
    """The speech of a whole text: 16-bit PCM, 8 kHz, mono.

    Raises EngineError if the engine fails, ValueError if the text is empty or too long.
    """
    speech = SpeechService(settings.model_copy(update={"timeout": _TIMEOUT}))
    try:
        return await speech.say(text, voice).collect_pcm()
    finally:
        await speech.close()


def write_prompt_file(file: Path, pcm: bytes) -> None:
    """Write PCM (16-bit, 8 kHz, mono) to a WAV file. Raises OSError if the file cannot be written.

    The PCM is written to a temporary file, which is then renamed to `file`, so that a server that watches the
    folder never finds an incomplete prompt.
    """
    unfinished = file.with_name(f".{file.name}.part")  # the server ignores files whose names begin with a dot
    try:
        unfinished.write_bytes(wav.header(1, len(pcm)) + pcm)
        unfinished.replace(file)
    finally:
        with suppress(OSError):
            unfinished.unlink()
