#!/usr/bin/env bash
# SpeechRecognition reads a file piece by piece: record(source, duration=1) gives "up to duration seconds", starting
# where the last call ended, or behind an offset. One expects the pieces, laid end to end, to be the file, and
# offset=1, duration=0.5 to be the half second from 1.0 to 1.5.
# It reads 4096 samples at a time, and throws the last ones that it has read away where they go beyond the
# duration: they are in no piece. At 8 kHz that is half a second at each seam. Of pieces of one second half of the
# call is left, of pieces of ten seconds some of each; an offset begins up to half a second too early, and
# duration=0.5 gives nothing at all. Without a duration all samples come.
# Long recordings are transcribed piece by piece, as engines take a minute or less at a time, and words
# are missing at each seam.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check SpeechRecognition==3.17.0 numpy==2.2.6
"$T/v/bin/python" - <<'E'
import io, wave
import numpy as np, speech_recognition as sr
print("SpeechRecognition", sr.__version__)
print("expected: pieces of the length that was asked for, which together are the file")
recognizer = sr.Recognizer()

def wav(rate, seconds):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((np.arange(rate * seconds) % 65536).astype("<u2").tobytes())  # each sample tells where it is
    file.seek(0)
    return sr.AudioFile(file)

def samples(audio):
    return np.frombuffer(audio.get_raw_data(), "<u2")

for rate, seconds, length in ((8000, 1, 4096), (16000, 1, 12288), (8000, 10, 77824)):
    with wav(rate, 3 * seconds) as source:
        pieces = [samples(recognizer.record(source, duration=seconds)) for _ in range(3)]
    lost = [int(later[0]) - int(sooner[-1]) - 1 & 0xFFFF for sooner, later in zip(pieces, pieces[1:])]
    print(f"seen: {rate} Hz, pieces of {seconds} s: {', '.join(f'{len(p) / rate:.3f} s' for p in pieces)}; "
          f"{', '.join(f'{n / rate:.3f} s' for n in lost)} lost between them")
    assert len(pieces[0]) == len(pieces[1]) == length and lost == [4096, 4096]
for rate in (8000, 16000):
    with wav(rate, 3) as source:
        part = samples(recognizer.record(source, offset=1, duration=0.5))
    where = f"{part[0] / rate:.3f} to {(part[-1] + 1) / rate:.3f}" if len(part) else "nothing"
    print(f"seen: {rate} Hz, offset 1, duration 0.5: {where}")
    assert len(part) == (0 if rate == 8000 else 4096) and (rate == 8000 or part[0] == 12288)
    with wav(rate, 3) as source:
        assert len(samples(recognizer.record(source))) == 3 * rate
E
