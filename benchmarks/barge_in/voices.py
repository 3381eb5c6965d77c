"""Voices: hibari's, those of flite and espeak-ng, and recordings, where they are installed."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hibari
import numpy as np
import soxr

from benchmarks.barge_in.signals import read_sound
from benchmarks.recognition.sentences import SENTENCES
from mediaserver.audio.pcm import SAMPLE_RATE, Signal

_PROGRAMS: dict[str, Sequence[str]] = {
    **{
        f"flite {name}": ("flite", "-voice", name, "-t", "{text}", "-o", "{file}")
        for name in ("kal", "rms", "awb", "slt")
    },
    **{
        f"espeak-ng {name}": ("espeak-ng", "-v", name, "-w", "{file}", "{text}")
        for name in ("en-us", "en-us+m3", "en-gb+f3", "de", "es")
    },
}
# Debian's packages asterisk-core-sounds-*-wav and pocketsphinx-testdata: people, recorded.
_RECORDINGS = "asterisk/sounds/*_*_*"
_TEST_DATA = ("pocketsphinx/test/data/*/*.wav", "pocketsphinx/test/data/*.raw")
_MUSIC = "asterisk/moh/*.wav"  # of Debian's asterisk-moh-opsound-wav
_SIZES = range(40_000, 160_000)  # bytes of 2.5 to 10 s: sentences
_SENTENCES = 30  # of each recorded voice
_NO_SPEECH = ("beep", "tt-", "silence")


def voices(share: Path) -> dict[str, list[Signal]]:
    """Sentences at 8 kHz by the name of who says them; `share` is where packages put recordings."""
    found = {"hibari heart": _of_hibari()}
    for name, command in _PROGRAMS.items():
        if shutil.which(command[0]):
            found[name] = _of_program(command)
    for folder in sorted(share.glob(_RECORDINGS)):
        files = [file for file in sorted(folder.glob("*.wav")) if file.stat().st_size in _SIZES]
        files = [file for file in files if not any(part in file.name for part in _NO_SPEECH)]
        chosen = files[:: max(1, len(files) // _SENTENCES)][:_SENTENCES]
        found[f"recorded: {folder.name.rsplit('_', 1)[1]} ({folder.name[:2]})"] = [
            read_sound(file) for file in chosen
        ]
    if data := [file for pattern in _TEST_DATA for file in sorted(share.glob(pattern))]:
        found["recorded: PocketSphinx"] = [read_sound(file, 16_000) for file in data]
    return found


def music(share: Path, prompts: Path) -> tuple[dict[str, Signal], dict[str, Signal]]:
    """The shipped hold music, and that of Debian's Asterisk where it is installed, by name."""
    shipped = {f"hold music {file.stem}": read_sound(file) for file in sorted((prompts / "music").glob("*.wav"))}
    others = {f"Asterisk's {file.stem}": read_sound(file) for file in sorted(share.glob(_MUSIC))}
    return shipped, others


def _of_hibari() -> list[Signal]:
    speak = hibari.Hibari()
    spoken = [soxr.resample(np.asarray(speak(text, seed=1)), 24_000, SAMPLE_RATE) for text in SENTENCES]
    return [np.asarray(sound, dtype=np.float64) * 32_768 for sound in spoken]


def _of_program(command: Sequence[str]) -> list[Signal]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "spoken.wav")
        for text in SENTENCES:
            arguments = [part.format(text=text, file=file) for part in command]
            subprocess.run(arguments, check=True, capture_output=True)
            found.append(read_sound(file))
    return found
