"""Bytes without a header: whether they are noise as they are read, and sound in another way."""

from collections.abc import Callable

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.containers import headerless
from mediaserver.audio.containers.headerless import SPAN, Coding, better_coding, misreading
from mediaserver.audio.pcm import to_bytes
from tests.project import ROOT
from tests.sound import read_wav, sine

ENCODE: dict[Coding, Callable[[np.ndarray], bytes]] = {
    Coding.LITTLE_ENDIAN: to_bytes,
    Coding.BIG_ENDIAN: lambda samples: samples.astype(">i2").tobytes(),
    Coding.WIDE: lambda samples: (samples.astype("<i4") << 8).view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
    Coding.FLOAT: lambda samples: (samples / 32768).astype("<f4").tobytes(),
    Coding.UNSIGNED: lambda samples: (np.round(samples / 256) + 128).clip(0, 255).astype(np.uint8).tobytes(),
    Coding.MULAW: g711.mulaw_encode,
    Coding.ALAW: g711.alaw_encode,
}
ASSUMED = (Coding.LITTLE_ENDIAN, Coding.MULAW, Coding.ALAW)
SOUNDS = {name: read_wav(ROOT / f"prompts/{name}.wav") for name in ("welcome", "music/hold", "music/drift")}


def part(data: bytes) -> bytes:
    begin = headerless.middle(len(data))
    return data[begin : begin + SPAN]


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("coding", [Coding.BIG_ENDIAN, Coding.WIDE, Coding.FLOAT, Coding.MULAW, Coding.ALAW])
def test_what_is_read_as_16_bit_pcm_and_is_not_is_told(name: str, coding: Coding) -> None:
    found = better_coding(part(ENCODE[coding](SOUNDS[name])), Coding.LITTLE_ENDIAN)
    assert found == coding


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("assumed", [Coding.MULAW, Coding.ALAW])
@pytest.mark.parametrize("coding", [Coding.LITTLE_ENDIAN, Coding.BIG_ENDIAN, Coding.WIDE])
def test_what_is_read_as_g711_and_is_wider_is_told(name: str, assumed: Coding, coding: Coding) -> None:
    assert better_coding(part(ENCODE[coding](SOUNDS[name])), assumed) == coding


LOUDNESS = (1.0, 0.1, 0.003, 0.0001)
NOISE = np.random.default_rng(1)
HARD: dict[str, np.ndarray] = {
    **{name: samples / 32768 for name, samples in SOUNDS.items()},
    **{f"{hz} Hz": sine(hz, 5, 8000, peak=0.9) for hz in (60, 440, 1633, 2900, 3500)},
    "two tones": sine(697, 5, 8000, peak=0.4) + sine(1209, 5, 8000, peak=0.4),
    "square wave": np.sign(sine(350, 5, 8000)) * 0.5,
    "white noise": NOISE.normal(0, 0.2, 40_000).clip(-1, 1),
    "brown noise": (NOISE.normal(0, 0.01, 40_000).cumsum() % 1.8) - 0.9,
    "silence": np.zeros(40_000),
    "clipped": (SOUNDS["welcome"] / 32768 * 8).clip(-1, 1),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("coding", ASSUMED)
def test_what_is_read_rightly_is_not_suspected(name: str, coding: Coding) -> None:
    for loudness in LOUDNESS:
        samples = (HARD[name] * loudness * 32767).astype(np.int16)
        assert better_coding(part(ENCODE[coding](samples)), coding) is None, loudness


def test_a_few_bytes_tell_nothing() -> None:
    data = ENCODE[Coding.BIG_ENDIAN](SOUNDS["welcome"])[4000:]
    assert better_coding(data[:8200], Coding.LITTLE_ENDIAN) == Coding.BIG_ENDIAN
    assert better_coding(data[:8191], Coding.LITTLE_ENDIAN) is None
    assert better_coding(b"", Coding.LITTLE_ENDIAN) is None


def test_the_warning_names_codes_of_8_bits_together() -> None:
    codes = g711.mulaw_encode(SOUNDS["music/hold"])
    look = "8-bit codes, such as µ-law, A-law or 8-bit PCM"
    told = f"is noise as 16-bit PCM: its bytes look like {look}. Convert it to WAV"
    assert misreading(part(codes), Coding.LITTLE_ENDIAN) == told
    assert misreading(part(codes), Coding.MULAW) == ""


def test_the_middle_begins_between_two_samples_of_any_kind() -> None:
    assert headerless.middle(100) == 0
    assert headerless.middle(SPAN + 2 * 1201) == 1200
