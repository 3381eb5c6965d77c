"""Sound files to play: tones that differ, so that no two files are the same."""

import wave
from pathlib import Path

import numpy as np

_LEVEL = 8000  # of 32767


def write_tone(file: Path, seconds: float, rate: int = 8000, channels: int = 1, hertz: float = 440.0) -> None:
    """A 16-bit WAV file with a tone that rises slowly: every frame of it is another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    at = np.arange(round(seconds * rate)) / rate
    tone = (_LEVEL * np.sin(2 * np.pi * (hertz + at) * at)).astype("<i2")
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.repeat(tone, channels).tobytes())
