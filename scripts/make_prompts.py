"""Synthesises the shipped prompts: a spoken welcome, a record beep and two pieces of hold music.

    python scripts/make_prompts.py [--out prompts]

Every file is 8 kHz, 16-bit, mono WAV, and every run with the same packages gives the same bytes. (The speech may
differ by one step in a few samples where scipy is installed, because hibari-tts then computes with scipy.)

    welcome.wav      a spoken greeting
    beep.wav         the tone before a recording
    music/hold.wav   electric piano, a lounge piece in F, 4/4
    music/drift.wav  plucked strings and a soft bell, a slow waltz in D

The music loops without a seam: it is synthesised on a circular time line, where note tails, echo and
reverberation that run past the end come back in at the start, and it lasts a whole number of 20 ms packets.

The results are free of rights. The beep and the music (both composed for this project) are made by this
script alone; the speech is made by the Apache-2.0 licensed hibari-tts and the voice in its package.

Needs: pip install numpy soxr hibari-tts
"""

import argparse
import importlib
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float64]
Bars = tuple[tuple[str, str, str, str], ...]

RATE = 8000
PACKET = 160
SEED = 8000
WELCOME = "Thank you for calling. Please hold the line, and we will be with you shortly."

# Melody notes are name:beats, "-" is a rest.
HOLD: Bars = (
    # chord     bass      piano chord   melody
    ("Fmaj7", "F3 C4", "E4 A4 C5", "A5:1.5 G5:.5 C5:1 E5:1"),
    ("Dm7", "D4 A3", "F4 A4 C5", "F5:2.5 -:.5 E5:.5 F5:.5"),
    ("Gm7", "G3 D4", "F4 Bb4 D5", "G5:1.5 F5:.5 D5:1 Bb4:1"),
    ("C9", "C4 G3", "E4 Bb4 D5", "E5:1 G5:3"),
    ("Am7", "A3 E4", "E4 G4 C5", "C6:1.5 A5:.5 G5:2"),
    ("Dm7", "D4 A3", "F4 A4 C5", "A5:1 F5:1 E5:.5 D5:1.5"),
    ("Gm9", "G3 D4", "F4 Bb4 D5", "D5:.5 F5:.5 A5:1.5 G5:1.5"),
    ("C9", "C4 G3", "E4 Bb4 D5", "G5:1 F5:.5 E5:2.5"),
    ("Bbmaj7", "Bb3 F4", "D4 F4 A4", "D6:1.5 C6:.5 A5:2"),
    ("Bbm6", "Bb3 F4", "Db4 F4 G4", "Db6:1.5 Bb5:.5 G5:2"),
    ("Am7", "A3 E4", "E4 G4 C5", "C6:1 A5:1 G5:.5 A5:1.5"),
    ("D7", "D4 A3", "F#4 A4 C5", "F#5:1 A5:1 C6:1.5 Bb5:.5"),
    ("Gm9", "G3 D4", "F4 A4 Bb4 D5", "Bb5:1.5 A5:.5 F5:2"),
    ("C13", "C4 G3", "E4 Bb4 D5", "E5:1 G5:1 A5:1.5 G5:.5"),
    ("Fmaj9", "F3 C4", "E4 G4 A4 C5", "C6:1 A5:.5 G5:2.5"),
    ("C9sus", "C4 G3", "F4 Bb4 D5", "-:1 D5:1 F5:1 G5:1"),
)

DRIFT: Bars = (
    # chord     pad             plucked, one note each half beat   melody
    ("Dmaj9", "D4 A4 C#5", "D4 A4 C#5 E5 C#5 A4", "F#5:2 E5:1"),
    ("Bm7", "B3 F#4 D5", "B3 F#4 A4 D5 A4 F#4", "D5:3"),
    ("Gmaj7", "D4 F#4 B4", "G3 D4 F#4 B4 F#4 D4", "B5:2 A5:1"),
    ("A7sus", "E4 G4 D5", "A3 E4 G4 D5 G4 E4", "E5:3"),
    ("F#m7", "F#4 A4 C#5", "F#4 A4 C#5 E5 C#5 A4", "A5:1 C#6:1 B5:1"),
    ("Bm9", "F#4 A4 C#5", "B3 F#4 A4 C#5 D5 A4", "F#5:3"),
    ("Em9", "E4 G4 B4", "E4 G4 B4 D5 F#5 B4", "G5:1 F#5:1 E5:1"),
    ("A7", "E4 G4 C#5", "A3 E4 G4 C#5 G4 E4", "C#5:2 E5:1"),
    ("Gmaj9", "D4 F#4 A4", "G3 D4 F#4 A4 B4 F#4", "D6:2 B5:1"),
    ("F#m7", "E4 A4 C#5", "F#4 A4 C#5 E5 C#5 A4", "C#6:1.5 A5:1.5"),
    ("Em7", "E4 G4 B4", "E4 G4 B4 D5 B4 G4", "B5:1 A5:1 G5:1"),
    ("D/F#", "F#4 A4 D5", "F#4 A4 D5 F#5 D5 A4", "A5:3"),
    ("Gmaj7", "D4 F#4 B4", "G3 D4 F#4 B4 F#4 D4", "B5:1.5 A5:.5 G5:1"),
    ("Gm6", "D4 E4 Bb4", "G3 D4 E4 Bb4 E4 D4", "Bb5:1.5 G5:.5 E5:1"),
    ("Dmaj9", "D4 A4 C#5", "D4 A4 C#5 F#5 E5 A4", "F#5:1.5 A5:1.5"),
    ("A9sus", "E4 G4 B4", "A3 E4 G4 B4 G4 E4", "E5:1 D5:1 E5:1"),
)


@dataclass(frozen=True)
class Timbre:
    """A sound as a sum of partials; higher partials and higher notes die away sooner."""

    partials: tuple[tuple[float, float], ...]  # (ratio to the note, level)
    attack: float  # seconds in which a note rises
    decay: float  # seconds for a partial at 500 Hz to fall to 1/e
    release: float  # seconds in which a note fades out at its end


PIANO = Timbre(((1, 1.0), (2, 0.32), (3, 0.14), (4, 0.07), (5, 0.03), (7.1, 0.03)), 0.008, 1.3, 0.35)
BASS = Timbre(((1, 0.8), (2, 0.55), (3, 0.2), (4, 0.06)), 0.012, 0.8, 0.12)
STRING = Timbre(tuple((n, abs(np.sin(n * np.pi * 0.29)) / n**1.5) for n in range(1, 13)), 0.004, 0.8, 0.5)
BELL = Timbre(((1, 1.0), (2, 0.2), (3, 0.1), (4.2, 0.03)), 0.03, 1.5, 0.6)
PAD = Timbre(((1, 1.0), (2, 0.3), (3, 0.12)), 0.5, 6.0, 0.8)


def pitch(name: str) -> float:
    """The frequency of a note such as F#4, in equal temperament with A4 at 440 Hz."""
    semitone = "C D EF G A B".index(name[0]) + name.count("#") - name.count("b")
    return float(440.0 * 2.0 ** ((semitone - 9) / 12 + int(name[-1]) - 4))


def fade(audio: Audio, seconds_in: float, seconds_out: float) -> Audio:
    """Fade audio in and out by raised cosine ramps."""
    time = (np.arange(len(audio)) + 0.5) / RATE
    rise, fall = np.minimum(time / seconds_in, 1), np.minimum(time[::-1] / seconds_out, 1)
    return np.asarray(audio * np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2)


def note(timbre: Timbre, frequency: float, seconds: float) -> Audio:
    time = np.arange(round((seconds + timbre.release) * RATE)) / RATE
    sound = np.zeros(len(time))
    # Each note is two voices a little out of tune: their slow beating is what makes it sound warm.
    for voice in (frequency * 0.9993, frequency * 1.0007):
        for ratio, level in timbre.partials:
            partial = voice * ratio
            if partial < 3500:
                decay = timbre.decay * (500 / partial) ** 0.6
                sound += level * np.sin(2 * np.pi * partial * time) * np.exp(-time / decay)
    return fade(sound, timbre.attack, timbre.release)


class Loop:
    """A circular time line: sound that is played past its end goes on at its start."""

    def __init__(self, bars: int, beats_per_bar: int, beat: int) -> None:
        self.beat = beat
        self.bar_beats = beats_per_bar
        self.audio: Audio = np.zeros(bars * beats_per_bar * beat)
        if len(self.audio) % PACKET:
            raise ValueError("a loop must be a whole number of packets")

    def play(self, timbre: Timbre, name: str, bar: int, start: float, beats: float, level: float) -> None:
        sound = level * note(timbre, pitch(name), beats * self.beat / RATE)
        first = round((bar * self.bar_beats + start) * self.beat)
        np.add.at(self.audio, np.arange(first, first + len(sound)) % len(self.audio), sound)

    def sing(self, timbre: Timbre, melody: str, bar: int, level: float) -> None:
        start = 0.0
        for token in melody.split():
            name, beats = token.split(":")
            if name != "-":
                self.play(timbre, name, bar, start, float(beats), level)
            start += float(beats)
        if start != self.bar_beats:
            raise ValueError(f"bar {bar + 1}: the melody lasts {start} beats")

    def echo(self, beats: float, level: float) -> None:
        delay = round(beats * self.beat)
        self.audio = sum((level**n * np.roll(self.audio, n * delay) for n in range(1, 4)), self.audio)


def reverberate(audio: Audio, seconds: float, level: float) -> Audio:
    """Add the sound of a room, by circular convolution with noise that dies away in the given time."""
    time = np.arange(round(seconds * RATE)) / RATE
    room = np.random.default_rng(SEED).standard_normal(len(time)) * np.exp(-6.9 * time / seconds)
    room *= level / np.sqrt(np.sum(room**2))
    room = np.concatenate((np.zeros(RATE // 50), room))  # a delay that keeps attacks clear
    spectrum = np.fft.rfft(audio) * (1 + np.fft.rfft(room, len(audio)))
    return np.asarray(np.fft.irfft(spectrum, len(audio)))


def telephone_band(audio: Audio) -> Audio:
    """Keep the telephone band. The signal is filtered as a whole, so that a loop stays without a seam."""
    frequency = np.fft.rfftfreq(len(audio), 1 / RATE)
    gain = np.interp(frequency, (100, 240, 3200, 3600), (0, 1, 1, 0))
    return np.asarray(np.fft.irfft(np.fft.rfft(audio) * gain, len(audio)))


def compose_hold() -> Audio:
    backing, lead = (Loop(len(HOLD), 4, 5200) for _ in range(2))
    for bar, (_, bass, chord, melody) in enumerate(HOLD):
        root, fifth = bass.split()
        for name, start, beats, level in ((root, 0, 1.5, 0.9), (root, 1.5, 0.5, 0.5), (fifth, 2, 1.8, 0.75)):
            backing.play(BASS, name, bar, start, beats, level)
        for start, beats, level in ((0, 1.3, 0.3), (1.5, 0.8, 0.2), (2.5, 1.5, 0.28)):
            for step, name in enumerate(chord.split()):
                backing.play(PIANO, name, bar, start + 0.02 * step, beats, level)
        lead.sing(PIANO, melody, bar, 0.85)
    lead.echo(0.75, 0.25)
    return reverberate(backing.audio + lead.audio, 1.4, 0.3)


def compose_drift() -> Audio:
    backing, lead = (Loop(len(DRIFT), 3, 6000) for _ in range(2))
    for bar, (_, pad, plucked, melody) in enumerate(DRIFT):
        for name in pad.split():
            backing.play(PAD, name, bar, -0.2, 3.2, 0.13)
        for step, name in enumerate(plucked.split()):
            backing.play(STRING, name, bar, step / 2, 1.5, (0.9, 0.6, 0.65, 0.7, 0.6, 0.55)[step])
        lead.sing(BELL, melody, bar, 0.7)
    lead.echo(1.0, 0.3)
    return reverberate(backing.audio + lead.audio, 2.2, 0.4)


def set_loudness(audio: Audio, loudness: float, target_db: float) -> Audio:
    """Bring audio of the given RMS loudness to the target, or less where its peak would pass -3.5 dBFS."""
    gain = min(10 ** (target_db / 20) / loudness, 10 ** (-3.5 / 20) / np.max(np.abs(audio)))
    return np.asarray(gain * audio)


def needed(module: str, package: str) -> ModuleType:
    # Packages are imported by name when they are used: only this script needs them, and they have no types.
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        sys.exit(f"make_prompts: {package} is missing; run: pip install {package}")


def make_welcome() -> Audio:
    hibari, soxr = needed("hibari", "hibari-tts"), needed("soxr", "soxr")
    spoken = hibari.Hibari()(WELCOME, seed=SEED)
    speech = telephone_band(soxr.resample(spoken, hibari.SAMPLE_RATE, RATE, quality="VHQ"))
    power = np.mean(speech[: len(speech) // PACKET * PACKET].reshape(-1, PACKET) ** 2, axis=1)
    active = np.flatnonzero(power > np.max(power) * 10**-3.5)
    # A little more on each side keeps the soft beginnings and ends of words that the threshold misses.
    first, last = max(active[0] - 1, 0), active[-1] + 3
    speech = fade(speech[first * PACKET : last * PACKET], 0.01, 0.03)
    # Pauses do not count: a listener judges the loudness of the words.
    speech = set_loudness(speech, np.sqrt(np.mean(power[active])), -20)
    return np.concatenate((np.zeros(RATE // 20), speech, np.zeros(RATE * 3 // 20)))


def make_beep() -> Audio:
    tone = 0.25 * np.sin(2 * np.pi * 1000 * np.arange(RATE * 3 // 10) / RATE)
    return fade(tone, 0.005, 0.005)


def make_music(composition: Audio) -> Audio:
    music = telephone_band(composition)
    return set_loudness(music, float(np.std(music)), -21)


def write_wav(path: Path, audio: Audio) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(audio * 32767).astype("<i2").tobytes())
    print(f"{path}: {len(audio) / RATE:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the shipped prompts again from nothing.")
    parser.add_argument("--out", type=Path, default=Path("prompts"), help="the folder to write (%(default)s)")
    out = parser.parse_args().out
    write_wav(out / "welcome.wav", make_welcome())
    write_wav(out / "beep.wav", make_beep())
    write_wav(out / "music" / "hold.wav", make_music(compose_hold()))
    write_wav(out / "music" / "drift.wav", make_music(compose_drift()))


if __name__ == "__main__":
    main()
