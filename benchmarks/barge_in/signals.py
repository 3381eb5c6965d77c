"""Sounds for the benchmark, at 8 kHz as a telephone has them, and how loud a voice is.

All levels are in dBFS, where a full-scale sine has 0. A voice's level is its active level, without its pauses.
"""

import functools
import itertools
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from mediaserver.audio import g711, tones
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_RATE, Signal, from_bytes
from mediaserver.audio.tone_plans import TONE_PLANS

Disturbance = tuple[str, Signal, Signal | None]

SECONDS = 60
_PROGRESS_TONES = ("dial", "ringback", "busy", "congestion", "sit")
_LOSSES, _DELAYS = (20, 30, 40), (20, 60, 100, 205, 400)  # of an echo, in dB and in ms
_ACTIVE_MARGIN_DB = 15.9  # ITU-T P.56: a voice is active where it is no further below its active level
_NOISY_LINE_DBFS = -35.0  # level of the noise that a ringing tone of -15 dBm0 comes with
_STEP = 80  # samples (10 ms) of which a level is taken


def amplitude(dbfs: float) -> float:
    """The root of the mean square of 16-bit samples at a level."""
    return float(FULL_SCALE / np.sqrt(2) * 10 ** (dbfs / 20))


def through_mulaw(signal: Signal) -> Signal:
    """The samples as they come out of a telephone line."""
    samples = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return g711.mulaw_decode(g711.mulaw_encode(samples)).astype(np.float64)


def read_sound(file: Path, rate: int = SAMPLE_RATE) -> Signal:
    """The first channel of a 16-bit WAV file, or a headerless one of `rate`, at 8 kHz."""
    if file.suffix == ".wav":
        with wave.open(str(file)) as sound:
            rate = sound.getframerate()
            data = from_bytes(sound.readframes(sound.getnframes()))[:: sound.getnchannels()]
    else:
        data = from_bytes(file.read_bytes())
    return np.asarray(soxr.resample(data.astype(np.float64), rate, SAMPLE_RATE), dtype=np.float64)


def _step_powers(voice: Signal) -> Signal:
    steps = voice[: len(voice) // _STEP * _STEP].reshape(-1, _STEP)
    powers: Signal = (steps**2).mean(axis=1)
    return powers


def _active_power(voice: Signal) -> float:
    powers = _step_powers(voice)
    level = float(powers.mean())
    for _ in range(20):  # it settles after a few
        level = float(powers[powers > level * 10 ** (-_ACTIVE_MARGIN_DB / 10)].mean())
    return level


def at_level(voice: Signal, dbfs: float) -> Signal:
    """The voice with an active level of `dbfs`."""
    scaled: Signal = voice * (amplitude(dbfs) / np.sqrt(_active_power(voice)))
    return scaled


def onset_of(voice: Signal) -> int:
    """The sample at which a voice becomes active, to 10 ms."""
    threshold = _active_power(voice) * 10 ** (-_ACTIVE_MARGIN_DB / 10)
    return int(np.flatnonzero(_step_powers(voice) > threshold)[0]) * _STEP


def noise(dbfs: float, samples: int, rng: np.random.Generator) -> Signal:
    """White noise."""
    return rng.normal(0, amplitude(dbfs), samples)


def hum(hertz: float, dbfs: float) -> Signal:
    """Mains hum: a fundamental and fourteen harmonics, each weaker than the one before."""
    at = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    sound = sum(np.sin(2 * np.pi * hertz * n * at + n * n) / n for n in range(1, 16))
    return np.asarray(sound / np.std(sound) * amplitude(dbfs))


def wind(dbfs: float, rng: np.random.Generator) -> Signal:
    """Wind in a microphone: noise that is weaker by 6 dB with each octave, in a gust every 2.5 seconds."""
    size = SECONDS * SAMPLE_RATE
    spectrum = np.fft.rfft(rng.normal(0, 1, size)) / np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 20)
    gusts = 1 + 0.8 * np.sin(2 * np.pi * 0.4 * np.arange(size) / SAMPLE_RATE)
    sound = np.fft.irfft(spectrum, size) * gusts
    return np.asarray(sound / np.std(sound) * amplitude(dbfs))


def repeated(sound: Signal, samples: int = SECONDS * SAMPLE_RATE) -> Signal:
    """A minute of a sound, from its beginning again and again."""
    return np.tile(sound, -(-samples // len(sound)))[:samples]


def echo(sent: Signal, delay_ms: int, loss_db: float, smeared: bool = False) -> Signal:
    """What comes back of what was sent, perhaps through a line that smears it over some milliseconds."""
    delayed = np.concatenate((np.zeros(delay_ms * SAMPLE_RATE // 1000), sent))[: len(sent)] * 10 ** (-loss_db / 20)
    if not smeared:
        return delayed
    response = np.random.default_rng(8).normal(0, 1, 60) * np.exp(-np.arange(60) / 15)
    response[0] = 3.0
    response /= np.abs(np.fft.rfft(response, 512)).max()  # no frequency comes back louder than `loss_db` says
    return np.convolve(delayed, response)[: len(sent)]


@functools.cache
def prompt_of(*sentences: bytes) -> Signal:
    """A minute of sentences at -20 dBFS with pauses of 0.2 s; each is the bytes of its float64 samples."""
    spoken = [np.concatenate((np.frombuffer(each), np.zeros(SAMPLE_RATE // 5))) for each in sentences]
    return through_mulaw(repeated(at_level(np.concatenate(spoken), -20)))


def disturbances(music: dict[str, Signal], prompts: dict[str, Signal]) -> Iterator[Disturbance]:
    """Each with its name, a minute of it, and what was sent meanwhile if it is an echo."""
    quiet = noise(-65, SECONDS * SAMPLE_RATE, np.random.default_rng(1))  # of the line, beneath the rest
    yield from ((name, sound, None) for name, sound in _noises(quiet))
    for name, tune in music.items():
        for level in (-32, -20):
            yield f"{name}, {level} dBFS", repeated(tune / tune.std() * amplitude(level)) + quiet, None
    for (name, sent), loss, delay, smeared in itertools.product(prompts.items(), _LOSSES, _DELAYS, (False, True)):
        how = f"echo, -{loss} dB{', smeared' if smeared else ''}"
        yield f"{how}, {delay} ms, {name}", echo(sent, delay, loss, smeared) + quiet, sent


def _noises(quiet: Signal) -> Iterator[tuple[str, Signal]]:
    rng = np.random.default_rng(2)
    for level in (-60, -46, -34):
        yield f"white noise, {level} dBFS", noise(level, len(quiet), rng)
    for hertz, level in itertools.product((50, 60), (-45, -30)):
        yield f"hum, {hertz} Hz, {level} dBFS", hum(hertz, level) + quiet
    for name, (country, plan) in itertools.product(_PROGRESS_TONES, TONE_PLANS.items()):
        tone = repeated(tones.render(tones.normalize(tones.parse(plan[name], -15.0))).repeat.astype(np.float64))
        yield f"{name}, {country}", tone + quiet
        if name == "ringback":
            yield f"{name} on a noisy line, {country}", tone + noise(_NOISY_LINE_DBFS, len(tone), rng)
    for level in (-45, -35):
        yield f"wind in gusts, {level} dBFS", wind(level, rng) + quiet
