#!/usr/bin/env bash
# Loudness by ITU-R BS.1770 is the SUM of the channels' mean squares: the same tone in two channels is 3 LU louder than
# in one. The first test signal of EBU Tech 3341, a tone of -23 dBFS in both of two channels, is -23.0 LUFS (0.1 LU
# either way). One expects so of dsp-audio-metrics: "Correct: every loudness path follows BS.1770-4".
# It takes the MEAN of the channels: the test signal is -26.0, and any stereo file reads 3 LU too low, so that
# normalize_loudness makes it 3 dB too loud: what was made for -23 LUFS is -20. Mono is right.
# libebur128 (pyebur128) has the value of the standard.
# A library of prompts, some mono and some stereo, differs by 3 dB after it was levelled.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check dsp-audio-metrics==0.1.1 pyebur128==0.1.1 numpy==2.2.6 scipy==1.15.3
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import dsp_audio_metrics, numpy as np, pyebur128
print("dsp-audio-metrics", version("dsp-audio-metrics"), "pyebur128", version("pyebur128"))
print("expected: -23.0 LUFS for the tone in two channels, -26.0 in one")

def ebur128(audio):
    mode = pyebur128.MeasurementMode.MODE_I
    state = pyebur128.R128State(audio.shape[1], 48000, mode)
    state.add_frames(np.ascontiguousarray(audio).ravel(), len(audio))
    return pyebur128.get_loudness_global(state)

tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * np.arange(48000 * 20) / 48000)
for channels, standard, seen in ((1, -26.0, -26.0), (2, -23.0, -26.0)):
    audio = np.stack([tone] * channels, axis=1)
    level, reference = dsp_audio_metrics.integrated_lufs(audio, 48000), ebur128(audio)
    levelled = ebur128(dsp_audio_metrics.normalize_loudness(audio, 48000, target_lufs=-23.0))
    print(f"seen: {channels} channels: dsp-audio-metrics {level:.1f} LUFS, libebur128 {reference:.1f}, "
          f"levelled to -23.0 and measured by libebur128 {levelled:.1f}")
    assert abs(level - seen) < 0.1 and abs(reference - standard) < 0.1
    assert abs(levelled - (-23.0 + standard - seen)) < 0.1
E
