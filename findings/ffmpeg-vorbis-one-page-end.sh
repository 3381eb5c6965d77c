#!/usr/bin/env bash
# Ogg Vorbis can end within a block: the position on the last page says how many samples there are (Vorbis I, A.2).
# One expects FFmpeg to give that many, as libvorbis does, and as it does itself for long files.
# Where all the sound is on one page, as in short prompts (up to some 5 s of speech at 8 or 16 kHz, 1 or 2 s at 44.1),
# it goes by something else. At 8 kHz the sound ends up to 24 ms too late, with what the codec has behind the end;
# at 16 kHz the last 16 ms (256 samples) are gone, at 44.1 kHz the last 128 samples.
# libsndfile (libvorbis) has the right number from the same bytes, and FFmpeg has it as soon as there are two pages.
# Digits, dates and amounts that are put together from short files get a hole or a click at each seam, or
# miss their last consonant, and a test with a long file shows nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6 soundfile==0.14.0
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np, soundfile as sf
print("av", av.__version__, "libavformat", av.library_versions["libavformat"], "libsndfile", sf.__libsndfile_version__)
print("expected: as many samples as were written")
for rate, seconds, more in ((8000, 0.5, 96), (8000, 1, 192), (8000, 3, 64), (8000, 10, 0), (16000, 0.5, -256), (16000, 1, -256),
                            (16000, 3, -256), (16000, 10, 0), (44100, 0.5, -128), (44100, 10, 0)):
    n = int(rate * seconds)
    x = (8000 * np.sin(2 * np.pi * 300 * np.arange(n) / rate)).astype(np.int16)
    file = io.BytesIO()
    sf.write(file, x, rate, format="OGG", subtype="VORBIS")
    pages = file.getvalue().count(b"OggS") - 2  # two for the headers
    file.seek(0)
    whole = sf.read(file, dtype="float32")[0]
    file.seek(0)
    with av.open(file) as got:
        y = np.concatenate([frame.to_ndarray()[0] for frame in got.decode(audio=0)])
    tail = f", the rest as loud as {np.abs(y[n:]).max() * 32768:.0f}" if len(y) > n else ""
    print(f"seen: {seconds} s at {rate}, {pages} page(s) with sound: {len(whole)} by libsndfile, {len(y)} by FFmpeg{tail}")
    assert len(whole) == n
    same = min(n, len(y))
    assert np.abs(y[:same] - whole[:same]).max() < 1e-3
    assert len(y) - n == more and (pages == 1) == (more != 0), (len(y) - n, pages)
E
