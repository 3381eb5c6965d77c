"""Sound files for tests, written by other hands than ours: the standard library, ffmpeg, plain bytes."""

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import Samples


def speechlike(samples: int, seed: int = 1) -> Samples:
    """Samples of which no two stretches are alike."""
    rng = np.random.default_rng(seed)
    envelope = 0.5 + 0.5 * np.sin(np.arange(samples) / 900)
    return (rng.normal(0, 6000, samples) * envelope).clip(-32768, 32767).astype(np.int16)


def voice(samples: int, pitch: float = 120.0, peak: float = 12_000, melody: float = 1.0) -> Samples:
    """A voice that says vowels: harmonics of a pitch that moves, under two formants that move as well."""
    at = np.arange(samples) / 8000
    moves = 0.18 * np.sin(2 * np.pi * 2.1 * at) + 0.05 * np.sin(2 * np.pi * 5.3 * at)
    hertz = pitch * (1 + melody * moves)
    phase = 2 * np.pi * np.cumsum(hertz) / 8000
    first, second = 500 + 220 * np.sin(2 * np.pi * 3.1 * at), 1500 + 500 * np.sin(2 * np.pi * 2.3 * at + 1)
    sound = np.zeros(samples)
    for n in range(1, int(3400 / (1.25 * pitch))):
        formants = 1 / (1 + ((n * hertz - first) / 90) ** 2) + 0.5 / (1 + ((n * hertz - second) / 140) ** 2) + 0.01
        sound += formants * np.sin(n * phase + n * n)
    return (sound * (peak / np.abs(sound).max())).astype(np.int16)


def sine(hz: float, seconds: float, rate: int, peak: float = 0.5) -> np.ndarray:
    """A sine, ±1.0 full scale."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> Path:
    """16-bit PCM by the standard library; samples interleaved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> Samples:
    """The samples of a mono 16-bit file."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


def read_stereo(path: Path) -> np.ndarray:
    """The samples of a stereo 16-bit file at 8 kHz; shape (n, 2)."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)


def convert(ffmpeg: str, source: Path, target: Path, *options: str) -> Path:
    """Another format, by ffmpeg; no test where this ffmpeg was built without the encoder."""
    command = [ffmpeg, "-v", "error", "-y", "-i", str(source), *options, str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "Unknown encoder" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[0])
    assert done.returncode == 0, done.stderr
    return target


def level_db(samples: np.ndarray, hz: float, rate: int = 8000) -> float:
    """Level of one frequency in dB, relative to a full-scale sine; a flat-top window reads amplitudes exactly."""
    size = len(samples)
    n = np.arange(size) * 2 * np.pi / (size - 1)
    window = 0.21557895 - 0.41663158 * np.cos(n) + 0.277263158 * np.cos(2 * n)
    window += -0.083578947 * np.cos(3 * n) + 0.006947368 * np.cos(4 * n)
    spectrum = np.abs(np.fft.rfft(samples * window)) / (window.sum() / 2)
    at = round(hz * size / rate)
    return float(20 * np.log10(max(spectrum[max(0, at - 4) : at + 5].max(), 1e-12)))


class Pcm:
    """Takes the PCM of a file from a decoder, as it is."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def feed_pcm(self, pcm: bytes) -> None:
        self.blocks.append(pcm)
