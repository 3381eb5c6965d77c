"""Writes sound files with tones, for servers to play."""

import wave
from pathlib import Path

import numpy as np

_LEVEL = 8000  # amplitude of the tones, where 32767 is full scale


def write_tone(file: Path, seconds: float, rate: int = 8000, channels: int = 1, hertz: float = 440.0) -> None:
    """Write a 16-bit WAV file with a tone that rises slowly, so that no two frames are alike."""
    file.parent.mkdir(parents=True, exist_ok=True)
    at = np.arange(round(seconds * rate)) / rate
    tone = (_LEVEL * np.sin(2 * np.pi * (hertz + at) * at)).astype("<i2")
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.repeat(tone, channels).tobytes())
