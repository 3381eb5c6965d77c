#!/usr/bin/env bash
# MediaInfo tells what is in a sound file, and how long it lasts; CAF is what iPhones and Macs record to, and its data
# chunk says how large it is. One expects pymediainfo to tell 30 seconds of a CAF file of 30 seconds, as it does of WAV.
# It goes by the first 64 KB: 3.84 s of 16 bit at 8 kHz, 7.68 s of mu-law, 0.35 s of stereo at 44.1 kHz, however long
# the file is, with parse_speed=1 ("full parsing") too. The number of samples agrees with it. ALAC in CAF, which has a
# table of its packets, is right, and so is each file that fits into 64 KB.
# Voicemail and prompts have their right length in all tests with short sounds, and four seconds at most in use.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pymediainfo==7.0.1 numpy==2.2.6 soundfile==0.14.0
T=$T "$T/v/bin/python" - <<'E'
import os
from importlib.metadata import version
import numpy as np, soundfile as sf
from pymediainfo import MediaInfo
print("pymediainfo", version("pymediainfo"), "MediaInfo", MediaInfo._get_library()[-2])
print("expected: the seconds that soundfile reads")
os.chdir(os.environ["T"])
for container, subtype, rate, channels, seconds, told in (
    ("WAV", "PCM_16", 8000, 1, 30, 30000), ("CAF", "PCM_16", 8000, 1, 3, 3000), ("CAF", "PCM_16", 8000, 1, 30, 3840),
    ("CAF", "PCM_16", 8000, 1, 90, 3840), ("CAF", "ULAW", 8000, 1, 30, 7680), ("CAF", "PCM_16", 44100, 2, 30, 348),
    ("CAF", "ALAC_16", 8000, 1, 30, 30000),
):
    sf.write("x", np.random.default_rng(0).normal(0, 3000, (rate * seconds, channels)).astype(np.int16), rate,
             format=container, subtype=subtype)
    read = len(sf.read("x")[0]) / rate
    got = []
    for speed in (0.5, 1):
        audio = MediaInfo.parse("x", parse_speed=speed).audio_tracks[0]
        got.append((audio.duration, int(audio.samples_count)))
    print(f"seen: {container} {subtype}, {rate} Hz, {channels} channel(s): soundfile {read} s, MediaInfo {got[0][0] / 1000} s")
    assert read == seconds and got[0] == got[1]
    assert got[0][0] == told and abs(got[0][1] - told * rate / 1000) < rate / 500
E
