"""`mediaserver say`: a text as a prompt file."""

from contextlib import suppress
from pathlib import Path

from mediaserver.audio import wav
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.speech.service import Speech
from mediaserver.speech.tts.interface import Voice

_PATIENCE = 60.0  # seconds: nobody waits on a telephone


def check(file: Path) -> None:
    """ValueError where no prompt can be written there."""
    if file.suffix.lower() != ".wav" or file.name.startswith("."):
        raise ValueError("should be named something.wav")
    if file.is_dir():
        raise ValueError("is a folder")
    if not file.parent.is_dir():
        raise ValueError(f"there is no folder {file.parent}")


async def say(text: str, settings: SpeechSettings, voice: Voice) -> bytes:
    """A text's sound, PCM at 8 kHz. EngineError where it cannot be had, ValueError where there is none to have."""
    speech = Speech(settings.model_copy(update={"timeout": _PATIENCE}))
    try:
        return await speech.say(text, voice).whole()
    finally:
        await speech.close()


def write(file: Path, pcm: bytes) -> None:
    """A WAV file of it, whole or not at all: a server may be looking. OSError where it cannot be written."""
    unfinished = file.with_name(f".{file.name}.part")  # a dot: no prompt yet
    try:
        unfinished.write_bytes(wav.header(1, len(pcm)) + pcm)
        unfinished.replace(file)
    finally:
        with suppress(OSError):
            unfinished.unlink()
