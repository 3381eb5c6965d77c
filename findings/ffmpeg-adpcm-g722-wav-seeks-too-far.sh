#!/usr/bin/env bash
# A WAV file says how many bytes a second has (nAvgBytesPerSec), so that a player can skip ("Multimedia Programming
# Interface and Data Specifications 1.0"). One expects FFmpeg to write the number that is true, and "-ss 3.3" to begin
# at 3.3 seconds.
# For ADPCM at 8 kHz FFmpeg 7 writes 16000, where some 4050 are true, and for G.722, where 8000 are, 9.0.2 does still:
# 128 kbit/s, the default for codecs that have no use for it. It goes by that number when it seeks: "-ss 3.3" begins at
# 13 s in ADPCM, at 6.6 s in G.722, and from "-ss 7" on nothing is left of 20 seconds of ADPCM. The times
# that it tells are as if all were right. Files of SoX and libsndfile have the true number, and so has G.711.
# Who skips in a message, cuts a call at a time, or looks at its middle gets another place, or nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check imageio-ffmpeg==0.6.0 numpy==2.2.6 soundfile==0.14.0
T=$T "$T/v/bin/python" - <<'E'
import os, subprocess
from importlib.metadata import version
import imageio_ffmpeg, numpy as np, soundfile as sf
print("FFmpeg", imageio_ffmpeg.get_ffmpeg_version(), "libsndfile", sf.__libsndfile_version__)
print("expected: -ss 3.3 begins in second 3, -ss 7.3 in second 7")
os.chdir(os.environ["T"])
ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
run = lambda *words: subprocess.run([ffmpeg, "-v", "error", "-y", *words], check=True, capture_output=True).stdout
second = np.arange(8000) / 8000
x = np.concatenate([8000 * np.sin(2 * np.pi * (300 + 50 * s) * second) for s in range(20)])  # its pitch tells the second
sf.write("in.wav", x.astype(np.int16), 8000)
run("-i", "in.wav", "-c:a", "adpcm_ima_wav", "ima.wav")
run("-i", "in.wav", "-c:a", "adpcm_ms", "ms.wav")
run("-i", "in.wav", "-ar", "16000", "-c:a", "g722", "g722.wav")
run("-i", "in.wav", "-c:a", "pcm_mulaw", "mulaw.wav")
sf.write("sndfile.wav", x.astype(np.int16), 8000, subtype="IMA_ADPCM")

def begins(name, second):
    """The second in which the sound lies that -ss gives, by its pitch, or None where there is none."""
    y = np.frombuffer(run("-ss", str(second), "-i", name, "-t", "0.2", "-ar", "8000", "-f", "s16le", "-"), "<i2")
    if len(y) < 1600:
        return None
    hz = np.abs(np.fft.rfft(y[200:1400].astype(float) * np.hanning(1200), 16000)).argmax() / 2
    return int(round((hz - 300) / 50))

for name, told, three, seven in (("ima.wav", 16000, 13, None), ("ms.wav", 16000, 13, None), ("g722.wav", 16000, 6, 14),
                                 ("mulaw.wav", 8000, 3, 7), ("sndfile.wav", 4055, 3, 7)):
    data = open(name, "rb").read()
    at = data.index(b"fmt ") + 16
    rate, true = int.from_bytes(data[at:at + 4], "little"), (len(data) - 100) / 20
    places = begins(name, 3.3), begins(name, 7.3)
    print(f"seen: {name}: {rate} bytes a second in the header, some {true:.0f} in truth; "
          f"-ss 3.3 begins in second {places[0]}, -ss 7.3 {'in none' if places[1] is None else f'in second {places[1]}'}")
    assert rate == told and places == (three, seven)
E
