"""What a synthetic voice said, as a telephone has it.

Said once, by `python -m tests.speech.recordings`, and kept beside this file: computed anew it would differ by the
processor's rounding, and with it the words that a recogniser finds. Kept as µ-law, which no wire changes further.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from mediaserver.audio.pcm import SILENCE
from tests.twin.codecs import decode, encode

PAUSE = SILENCE * 50
FOLDER = Path(__file__).parent / "spoken"


def _file(text: str) -> Path:
    return FOLDER / f"{text.lower().replace(' ', '-')}.ulaw"


@cache
def said(text: str) -> bytes:
    """A text as 16-bit PCM at 8 kHz, with a trace of the noise that every line has."""
    return decode(_file(text).read_bytes(), "ulaw")


def pieces(pcm: bytes, size: int = 1600) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


class Ear:
    """Knows by heart all that the voice has said, and tells as many of its words as have been heard so far."""

    _ONSET = 4000  # samples, by which a text is known
    _LIKE = 0.8  # and how like it must be

    def __init__(self) -> None:
        self._heard = b""

    def hear(self, pcm: bytes) -> None:
        self._heard += pcm

    @property
    def words(self) -> str:
        """In lower case."""
        heard = np.frombuffer(self._heard, "<i2").astype(np.float64)
        found = []
        for file in sorted(FOLDER.glob("*.ulaw")):
            text = file.stem.replace("-", " ")
            known = np.frombuffer(said(text), "<i2").astype(np.float64)
            onset = int(np.flatnonzero(np.abs(known) > 300)[0])
            if (place := _place(known[onset : onset + self._ONSET], heard)) is not None:
                words = text.split()
                share = (len(heard) - place + onset) / len(known)
                found.append((place, " ".join(words[: round(share * len(words))])))
        return " ".join(words for _, words in sorted(found) if words)


def _place(known: np.ndarray, heard: np.ndarray) -> int | None:
    """Where something is in what was heard, if it is."""
    if len(heard) < len(known):
        return None
    size = len(heard) + len(known)
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(known, size)), size)
    energy = np.cumsum(np.concatenate(([0.0], heard**2)))
    most = len(heard) - len(known) + 1
    norms = np.sqrt((energy[len(known) :] - energy[:most]) * (known**2).sum())
    likeness = product[:most] / np.maximum(norms, 1.0)
    at = int(likeness.argmax())
    return at if likeness[at] > Ear._LIKE else None


def _say(text: str) -> None:
    import hibari
    import soxr

    sound = soxr.resample(hibari.Hibari()(text, seed=1), 24_000, 8000)
    noise = np.random.default_rng(1).normal(0, 3e-4, len(sound))
    pcm = np.clip((sound + noise) * 32_767, -32_768, 32_767).astype("<i2").tobytes()
    _file(text).write_bytes(encode(pcm, "ulaw"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for text in sys.argv[1:]:
        _say(text)
