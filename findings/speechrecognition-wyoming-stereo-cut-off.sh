#!/usr/bin/env bash
# One expects a library that makes stereo mono to take the mean of both channels, as FFmpeg and SoX do, so that what
# fits into either fits into the one.
# SpeechRecognition, when it opens a stereo file, and Wyoming's AudioChunkConverter, which voice assistants send their
# sound through, call audioop.tomono with the factors 1 and 1: the sum. A voice in both channels, as most
# stereo files have it, is twice as loud, and cut off above half of the scale. Neither README has a
# word of it. In a call with one side in each channel it is heard only where both speak.
# A recording that was made loud enough for people is distorted for the recogniser, with no error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check SpeechRecognition==3.17.0 wyoming==1.10.2 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io, wave
from importlib.metadata import version
import av, numpy as np, speech_recognition as sr
from wyoming.audio import AudioChunk, AudioChunkConverter
print("SpeechRecognition", sr.__version__, "wyoming", version("wyoming"), "av", av.__version__)
print("expected: the mean of both channels, and no sample cut off")
x = np.round(20000 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)).astype("<i2")
for text, right, told in (("in both channels", x, 32767), ("in the left one", 0 * x, 20000)):
    both = np.stack([x, right], 1)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, 16000, 0, "NONE", ""))
        out.writeframes(both.tobytes())
    file.seek(0)
    with sr.AudioFile(file) as source:
        a = np.frombuffer(sr.Recognizer().record(source).get_raw_data(), "<i2")
    b = np.frombuffer(AudioChunkConverter(channels=1).convert(AudioChunk(16000, 2, 2, both.tobytes())).audio, "<i2")
    frame = av.AudioFrame.from_ndarray(both.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate = 16000
    mean = np.concatenate([f.to_ndarray()[0] for f in av.AudioResampler("s16", "mono", 16000).resample(frame)])
    cut = [np.mean(np.abs(y.astype(int)) >= 32767) for y in (a, b)]
    print(f"seen: {text}: SpeechRecognition up to {a.max()} ({cut[0]:.0%} cut off), wyoming {b.max()} ({cut[1]:.0%}), FFmpeg {mean.max()}")
    assert a.max() == b.max() == told and np.array_equal(np.sign(a), np.sign(b))
    assert all((c > 0.1) == (told == 32767) for c in cut) and mean.max() <= 20000
E
