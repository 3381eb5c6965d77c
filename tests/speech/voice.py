"""What a synthetic voice says, as a telephone has it."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import soxr

from mediaserver.audio.pcm import SILENCE, to_bytes

PAUSE = SILENCE * 50


@cache
def _speaker() -> Any:
    return pytest.importorskip("hibari", reason="hibari-tts speaks what is recognised").Hibari()


@cache
def said(text: str) -> bytes:
    """A text as 16-bit PCM at 8 kHz, with a trace of the noise that every line has."""
    sound = soxr.resample(_speaker()(text, seed=1), 24_000, 8000)
    noise = np.random.default_rng(1).normal(0, 3e-4, len(sound))
    return to_bytes(np.clip((sound + noise) * 32_767, -32_768, 32_767).astype(np.int16))


def pieces(pcm: bytes, size: int = 1600) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]
