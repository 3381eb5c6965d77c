"""Recordings of a synthetic voice at telephone quality, as input of STT engines.

They were made by `python -m tests.speech.recordings` and are kept in files. Synthesised anew, they would differ by
the processor's rounding, and so would the words that an STT engine finds. They are kept as µ-law, because no wire
format changes that any further.
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
def recording_of(text: str) -> bytes:
    """The recording of a text: 16-bit PCM at 8 kHz, with a little line noise."""
    return decode(_file(text).read_bytes(), "ulaw")


def split_chunks(pcm: bytes, size: int = 1600) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


class RecordingMatcher:
    """The recogniser of the test servers: finds recordings in its input, and gives the words played so far."""

    _ONSET = 4000  # samples of its beginning, by which a recording is recognised
    _MIN_CORRELATION = 0.8

    def __init__(self) -> None:
        self._received = b""

    def feed(self, pcm: bytes) -> None:
        self._received += pcm

    @property
    def words(self) -> str:
        """The words of all recordings found so far, in lower case."""
        received = np.frombuffer(self._received, "<i2").astype(np.float64)
        found = []
        for file in sorted(FOLDER.glob("*.ulaw")):
            text = file.stem.replace("-", " ")
            known = np.frombuffer(recording_of(text), "<i2").astype(np.float64)
            onset = int(np.flatnonzero(np.abs(known) > 300)[0])
            if (place := _find(known[onset : onset + self._ONSET], received)) is not None:
                words = text.split()
                share = (len(received) - place + onset) / len(known)
                found.append((place, " ".join(words[: round(share * len(words))])))
        return " ".join(words for _, words in sorted(found) if words)


def _find(known: np.ndarray, received: np.ndarray) -> int | None:
    """The sample at which `known` begins in `received`; None where it is not in it."""
    if len(received) < len(known):
        return None
    size = len(received) + len(known)
    product = np.fft.irfft(np.fft.rfft(received, size) * np.conj(np.fft.rfft(known, size)), size)
    energy = np.cumsum(np.concatenate(([0.0], received**2)))
    most = len(received) - len(known) + 1
    norms = np.sqrt((energy[len(known) :] - energy[:most]) * (known**2).sum())
    correlation = product[:most] / np.maximum(norms, 1.0)
    at = int(correlation.argmax())
    return at if correlation[at] > RecordingMatcher._MIN_CORRELATION else None


def _record(text: str) -> None:
    import hibari
    import soxr

    sound = soxr.resample(hibari.Hibari()(text, seed=1), 24_000, 8000)
    noise = np.random.default_rng(1).normal(0, 3e-4, len(sound))
    pcm = np.clip((sound + noise) * 32_767, -32_768, 32_767).astype("<i2").tobytes()
    _file(text).write_bytes(encode(pcm, "ulaw"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for text in sys.argv[1:]:
        _record(text)
