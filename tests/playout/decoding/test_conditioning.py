"""What becomes of prompts once they are decoded, judged by a meter that shares nothing with ours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.level.levelling import PEAK_LIMIT
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.playout.decoding.conditioning import condition
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.playout.decoding.options import Conditioning
from tests.audio import p56
from tests.project import ROOT
from tests.sound import sine, speechlike, write_wav

FILES = [*sorted((ROOT / "prompts").rglob("*.wav")), *sorted((ROOT / "tests/speech/spoken").glob("*.ulaw"))]


def voice(seconds: float, pitch: float, rate: int, seed: int) -> np.ndarray:
    """A buzz of a voice's harmonics in syllables and words, with pauses of half a second; ±1.0 full scale."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * n * pitch * t + n * n) / n for n in range(1, round(3400 / pitch)))
    syllables = np.clip(np.sin(2 * np.pi * (3.7 + rng.random()) * t + seed), 0, 1)
    words = np.interp(t, np.arange(0, seconds + 0.5, 0.5), rng.integers(0, 3, round(seconds * 2) + 1) > 0)
    return 0.1 * buzz * syllables * words + rng.normal(0, 0.0005, len(t))


def music(seconds: float, rate: int) -> np.ndarray:
    chords = [(220, 277, 330), (196, 247, 294), (175, 220, 262)]
    parts = [sum(sine(hz, seconds / 3, rate, 0.12) for hz in chord) for chord in chords]
    return np.concatenate(parts)


def tones(on: float, off: float, times: int, rate: int = 8000) -> np.ndarray:
    return np.tile(np.concatenate((sine(440, on, rate, 0.3), np.zeros(round(off * rate)))), times)


def sounds() -> Iterator[tuple[str, np.ndarray, int]]:
    """Sounds by name with their rates, from whispers to shouts."""
    for n, gain in enumerate((0.06, 0.15, 0.4, 1.0, 2.0)):
        yield f"low voice {gain}", gain * voice(4, 95, 16_000, n), 16_000
        yield f"high voice {gain}", gain * voice(3, 210, 8000, n + 10), 8000
    for rate in (8000, 44_100):
        yield f"music {rate}", music(3, rate), rate
    for on, off in ((2, 0), (0.5, 0.5), (0.3, 2), (0.1, 0.1), (0.7, 0.05)):
        yield f"tones {on} {off}", tones(on, off, 3), 8000


SOUNDS = {name: (signal, rate) for name, signal, rate in sounds()}
PROMPTS = [*(file.stem for file in FILES), *SOUNDS]


def prompt_file(folder: Path, name: str) -> Path:
    for file in FILES:
        if file.stem == name:
            return file
    signal, rate = SOUNDS[name]
    return write_wav(folder / "a.wav", np.rint(np.clip(signal, -1, 1) * 32767), rate)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_is_heard_at_the_level_that_is_set_and_none_clips(tmp_path: Path, name: str) -> None:
    path = prompt_file(tmp_path, name)
    samples = from_bytes(decode_file(path, conditioning=Conditioning(-24.0)).pcm)
    assert p56.active_level(samples) == pytest.approx(-24.0, abs=0.3)
    assert np.abs(samples.astype(int)).max() <= PEAK_LIMIT
    own = from_bytes(decode_file(path).pcm)
    assert len(own) == len(samples)
    assert np.corrcoef(own, samples)[0, 1] > 0.999


@pytest.mark.parametrize("name", PROMPTS)
def test_without_a_level_a_prompt_is_as_its_file(tmp_path: Path, name: str) -> None:
    path = prompt_file(tmp_path, name)
    assert decode_file(path, conditioning=Conditioning()) == decode_file(path)


def test_what_has_nothing_done_to_it_is_the_same_array() -> None:
    samples = speechlike(8000)
    done = condition(samples, Conditioning())
    assert done.samples is samples
    assert (done.offset, done.gain, done.warnings) == (0, 0.0, ())


def test_peaks_that_would_clip_limit_the_gain_and_are_told() -> None:
    peaky = np.random.default_rng(1).normal(0, 1000, 40_000).astype(np.int16)
    peaky[::8000] = 30_000
    done = condition(peaky, Conditioning(-12.0))
    assert np.abs(done.samples).max() == PEAK_LIMIT
    assert done.gain == pytest.approx(20 * np.log10(32123 / 30_000))
    (warning,) = done.warnings
    assert warning.startswith("stays 17.")
    assert warning.endswith(" dB below prompts.loudness: its peaks would clip otherwise")


def test_next_to_nothing_is_not_blown_up() -> None:
    hiss = np.random.default_rng(1).integers(-20, 21, 40_000).astype(np.int16)
    done = condition(hiss, Conditioning(-26.0))
    assert done.gain == 30.0
    assert done.warnings == ("stays 12.8 dB below prompts.loudness: no prompt is amplified by more than 30 dB",)


def test_silence_and_clicks_are_left_as_they_are() -> None:
    pause, click = np.zeros(8000, dtype=np.int16), speechlike(50)
    assert condition(pause, Conditioning(-26.0)).warnings == ()
    done = condition(click, Conditioning(-26.0))
    assert np.array_equal(done.samples, click)
    assert done.warnings == ("is not levelled: it is too short, too soft or too sparse to have a speech level",)
    assert len(condition(np.zeros(0, dtype=np.int16), Conditioning(-26.0, trim_silence=True)).samples) == 0


def test_an_offset_is_removed_before_the_level_is_measured_and_told() -> None:
    clean = speechlike(24_000) // 4
    done = condition((clean + 3600).astype(np.int16), Conditioning(-26.0))
    assert p56.active_level(done.samples - done.samples.mean()) == pytest.approx(-26.0, abs=0.1)
    assert abs(done.samples.mean()) < 1
    assert done.warnings == ("has a DC offset of 11.0 % of full scale, which is removed",)


@pytest.mark.parametrize(("setting", "kept"), [(True, 16_000 + 320), (-50.0, 16_000 + 320), (-88.0, 24_000)])
def test_silence_is_trimmed_by_the_sounds_own_level_or_by_a_given_one(setting: bool | float, kept: int) -> None:
    hiss = np.random.default_rng(2).integers(-3, 4, 4000)  # -84 dBov in each frame, the voice -16
    loud = np.where(np.abs(speechlike(16_000)) < 900, 900, speechlike(16_000))
    sound = np.concatenate((hiss, loud, hiss)).astype(np.int16)
    trimmed = condition(sound, Conditioning(trim_silence=setting)).samples
    assert len(trimmed) == kept
    assert to_bytes(trimmed) in to_bytes(sound)
