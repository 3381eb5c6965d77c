#!/usr/bin/env bash
# A program that writes a WAV file into a pipe cannot know its length. FFmpeg and TTS
# servers then leave 0xFFFFFFFF as the size of the data chunk, and readers such as
# FFmpeg, dr_wav and Python's wave take it for "up to the end of the file". One expects
# those who tell a file's length to look at the file as well. tinytag tells three days
# for one second, and pedalboard (JUCE) has 2147483647 frames in place of 8000.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check tinytag==2.3.2 pedalboard==0.9.26 miniaudio==1.71
"$T/v/bin/python" - "$T/second.wav" <<'E2'
import importlib.metadata, struct, sys, wave
import miniaudio
from pedalboard.io import AudioFile
from tinytag import TinyTag

for name in ("tinytag", "pedalboard", "miniaudio"):
    print(name, importlib.metadata.version(name))
data = struct.pack("<8000h", *[(n % 40 - 20) * 200 for n in range(8000)])  # a second of 8 kHz, 16 bits
head = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data\xff\xff\xff\xff"
with open(sys.argv[1], "wb") as file:
    file.write(head + data)
print("expected: 8000 frames, 1.0 s")
with wave.open(sys.argv[1]) as reader:
    assert len(reader.readframes(1 << 20)) == 16000
assert miniaudio.get_file_info(sys.argv[1]).num_frames == 8000
seconds = TinyTag.get(sys.argv[1]).duration
with AudioFile(sys.argv[1]) as reader:
    frames = reader.frames
print(f"seen: miniaudio 8000 frames, tinytag {seconds:.0f} s, pedalboard {frames} frames")
assert seconds > 200_000 and frames == 2**31 - 1
E2
