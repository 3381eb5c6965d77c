#!/usr/bin/env bash
# soundfile seeks in all formats by samples: seek(16000), then read, gives what reading from the beginning has from
# sample 16000 on. In WAV, FLAC and Opus it does. One expects so of Ogg Vorbis, too, whose pages tell the
# number of their last sample for just this (Vorbis I, A.2: granule position).
# At 8 kHz the last page of a file is off: behind a certain point of a prompt of 3 s, or of 6 s, all that is read
# after a seek is from 64 or 128 samples (8 or 16 ms) further on: as many are missing there, and as many come at the
# end that the file does not have when it is read through. Nothing tells of it.
# A prompt that is resumed where the caller interrupted it jumps, and two cuts of it do not fit together.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6
"$T/v/bin/python" - <<'E'
import io
import numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__)
print("expected: what is read after a seek is what is there, in each format")
noise = np.random.default_rng(3).normal(0, 1, 48000)
spectrum = np.fft.rfft(noise)
spectrum[:1800] = spectrum[18000:] = 0  # 300 to 3000 Hz
noise = np.fft.irfft(spectrum, 48000)
noise = np.round(noise / np.abs(noise).max() * 16000).astype(np.int16)

def off(data, position, whole):
    """How many samples too far on the sound is that is read at a position, up to the end."""
    with sf.SoundFile(io.BytesIO(data)) as f:
        f.seek(position)
        got = f.read(dtype="int16").astype(float)
    fit = lambda lag: float(got[:1000] @ whole[position + lag:position + lag + 1000])
    lag = max(range(-300, 301), key=fit)
    assert len(got) == len(whole) - position
    assert np.abs(got[:len(got) - lag] - whole[position + lag:]).max() < 400
    return lag

for container, subtype, seconds in (
    ("WAV", "PCM_16", 3), ("FLAC", "PCM_16", 3), ("OGG", "OPUS", 3), ("OGG", "VORBIS", 3), ("OGG", "VORBIS", 6),
):
    f = io.BytesIO()
    sf.write(f, noise[:8000 * seconds], 8000, format=container, subtype=subtype)
    data = f.getvalue()
    whole = sf.read(io.BytesIO(data), dtype="int16")[0].astype(float)
    assert len(whole) == 8000 * seconds
    positions = range(800, len(whole) - 1400, 800)
    lags = [off(data, p, whole) for p in positions]
    late = [(p, lag) for p, lag in zip(positions, lags) if lag]
    print(f"seen: {subtype} in {container}, {seconds} s: {len(late)} of {len(lags)} positions off"
          + "".join(f", from {p} on, by {lag} samples" for p, lag in late[:1]))
    assert bool(late) == (subtype == "VORBIS")
    assert all(lag in (64, 128) and p > len(whole) / 2 for p, lag in late)
E
