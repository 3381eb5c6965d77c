#!/usr/bin/env bash
# In WAV a chunk of an odd size is followed by a pad byte, which its size does not count (RIFF, "Multimedia Programming
# Interface and Data Specifications 1.0"). One expects wavefile to give 801 samples for 801 bytes of mu-law. And one
# expects 505 samples of each block of IMA ADPCM, as the file itself says (256 bytes, wSamplesPerBlock).
# It takes the pad byte for a sound: the last sample is -32124 in mu-law and -32768 in unsigned 8 bit, as loud as
# there is. Of each block of IMA ADPCM it gives the first sample twice, so that the sound ticks 16 times a second and is
# 2 ms longer every second, and of the last block it gives silence. Even sizes, and 16 bit, are right; libsndfile reads
# all of them right.
# Half of all recordings in G.711 end with a click at full scale, and those in ADPCM drift away from their captions.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6 soundfile==0.14.0
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts wavefile@11.0.0 >/dev/null
cd "$T"
cat >read.cjs <<'E'
const { WaveFile } = require('wavefile');
const fs = require('fs');
const out = {};
for (const name of fs.readdirSync('.').filter(n => n.endsWith('.wav'))) {
  const wav = new WaveFile(fs.readFileSync(name));
  ({ 6: () => wav.fromALaw(), 7: () => wav.fromMuLaw(), 17: () => wav.fromIMAADPCM() })[wav.fmt.audioFormat]?.();
  if (wav.bitDepth !== '16') wav.toBitDepth('16');
  out[name] = Array.from(wav.getSamples(false, Int16Array));
}
console.log(JSON.stringify(out));
E
"$T/v/bin/python" - <<'E'
import json, subprocess
import numpy as np, soundfile as sf
print("wavefile", json.load(open("node_modules/wavefile/package.json"))["version"], "soundfile", sf.__version__)
print("expected: as many samples as there are, and no loud one at the end")
t = np.arange(505 * 20) / 8000
x = (3000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
sizes = {f"{sub}-{n}.wav": (sub, n) for n in (800, 801) for sub in ("ULAW", "ALAW", "PCM_U8", "PCM_16")}
sizes["IMA_ADPCM-10100.wav"] = "IMA_ADPCM", 10100
for name, (sub, n) in sizes.items():
    sf.write(name, x[:n], 8000, subtype=sub)
got = json.loads(subprocess.run(["node", "read.cjs"], capture_output=True, check=True).stdout)
for name, (sub, n) in sizes.items():
    y, right = np.array(got[name]), sf.read(name, dtype="int16")[0]
    print(f"seen: {name}: {len(y)} by wavefile, the last one {y[-1]}; {len(right)} by libsndfile, {right[-1]}")
    assert len(right) == n
    if sub == "IMA_ADPCM":
        blocks = y[:19 * 506].reshape(19, 506)
        twice, silent = np.array_equal(blocks[:, 0], blocks[:, 1]), not y[19 * 506:].any()
        print(f"seen: the first sample of each block comes twice: {twice}; the last block is silence: {silent}")
        assert twice and silent and np.array_equal(blocks[:, 1:].ravel(), right[:19 * 505]) and right[19 * 505:].any()
    else:
        odd = sub != "PCM_16" and n % 2
        assert len(y) == n + odd and np.abs(y[:n] - right).max() < 300
        assert not odd or y[-1] == {"ULAW": -32124, "ALAW": -5504, "PCM_U8": -32768}[sub]
E
