#!/usr/bin/env bash
# "ffmpeg -ss 10 -i in.mp3" decodes from a point before 10 s, and discards what it has too much (-accurate_seek, on by
# default). One expects the sound that -ss behind the -i gives, which decodes all from the beginning.
# A frame of MP3 may have its data in the frames before it, ten of them at low bit rates. FFmpeg begins with the frame
# at 10 s, finds no data for it, and gives silence without a warning: 1/8 s at 8 kHz and 16 kbit/s, half a second at
# 24 kHz and 8 kbit/s, 1/25 s at 24 kHz and 64 kbit/s. The number of samples is right. pydub has its -ss behind the -i:
# its start_second is slow, and right.
# Pieces of a recording have a hole at each seam; a prompt that goes on where it was interrupted loses a syllable.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check imageio-ffmpeg==0.6.0 numpy==2.2.6 pydub==0.25.1
T=$T "$T/v/bin/python" -W ignore - <<'E'
import os, subprocess
from importlib.metadata import version
import imageio_ffmpeg, numpy as np
from pydub import AudioSegment
print("FFmpeg", imageio_ffmpeg.get_ffmpeg_version(), "pydub", version("pydub"))
print("expected: sound from the first sample on")
os.chdir(os.environ["T"])
ffmpeg = AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()

def run(*words, **more):
    done = subprocess.run([ffmpeg, "-v", "warning", "-y", *words], check=True, capture_output=True, **more)
    return np.frombuffer(done.stdout, "<i2").astype(int), done.stderr.decode()

def silence(y, rate):
    """Milliseconds before the first sample that is heard."""
    return int(np.nonzero(abs(y) > 100)[0][0] * 1000 / rate)

for rate, bits, least in ((8000, 16, 100), (16000, 16, 120), (24000, 8, 300), (24000, 32, 50), (24000, 64, 30), (44100, 128, 20)):
    t = np.arange(rate * 20) / rate
    noise = np.random.default_rng(0).normal(0, 600, len(t))
    x = (6000 * np.sin(2 * np.pi * 300 * t) * (0.6 + 0.4 * np.sin(7 * t)) + noise).astype("<i2")
    run("-f", "s16le", "-ar", str(rate), "-i", "-", "-b:a", f"{bits}k", "in.mp3", input=x.tobytes())
    for start in (3.3, 10, 15.5):
        before, said = run("-ss", str(start), "-i", "in.mp3", "-f", "s16le", "-")
        behind, _ = run("-i", "in.mp3", "-ss", str(start), "-f", "s16le", "-")
        got = silence(before, rate), silence(behind, rate)
        print(f"seen: {rate} Hz, {bits} kbit/s, from {start} s: -ss before -i {got[0]} ms of silence, behind it {got[1]} ms")
        assert len(before) == len(behind) and not said
        assert least <= got[0] and got[1] < 5
    if (rate, bits) == (16000, 16):
        cut = AudioSegment.from_file("in.mp3", "mp3", start_second=10, duration=1)
        got = silence(np.array(cut.get_array_of_samples(), int), rate)
        print(f"seen: pydub, start_second=10: {got} ms of silence")
        assert got < 5
E
