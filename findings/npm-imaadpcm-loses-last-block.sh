#!/usr/bin/env bash
# One expects an IMA ADPCM encoder to give back all samples that it got, and,
# as each block is whole (Microsoft's "New Multimedia Data Types"), up to one
# block more. 8080 samples are exactly 16 blocks of 505, or 4096 bytes.
# The npm package imaadpcm, and wavefile, which has it inside, give
# 4612 bytes: 15 blocks of sound, and three blocks of zeros in place of the last.
# Its last 63 ms (up to 63 ms for other lengths) are lost, and silence of more than
# 120 ms follows: a short prompt loses its last sound, and each loop has a gap.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts imaadpcm@5.0.0 wavefile@11.0.0 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6 av==18.1.0
cd "$T"
node - <<'E'
const assert = require('assert');
const fs = require('fs');
const imaadpcm = require('imaadpcm');
const { WaveFile } = require('wavefile');
for (const p of ['imaadpcm', 'wavefile']) {
  console.log(p, JSON.parse(fs.readFileSync(`node_modules/${p}/package.json`)).version);
}
console.log('expected: 4096 bytes, a tone in all of the 16 blocks');
const tone = Int16Array.from({ length: 8080 }, (_, i) => Math.round(8000 * Math.sin(2 * Math.PI * 440 * i / 8000)));
const coded = imaadpcm.encode(tone);
const last = coded.reduce((at, value, i) => (value ? i : at), 0);
console.log(`seen: imaadpcm: ${coded.length} bytes, zeros from byte ${last + 1} on`);
assert.strictEqual(coded.length, 4612);
assert.strictEqual(Math.ceil((last + 1) / 256), 15);
const wav = new WaveFile();
wav.fromScratch(1, 8000, '16', tone);
wav.toIMAADPCM();
fs.writeFileSync('tone.wav', wav.toBuffer());
E
"$T/v/bin/python" - <<'E'
import av, numpy as np
with av.open("tone.wav") as file:
    y = np.concatenate([f.to_ndarray().ravel() for f in file.decode(audio=0)]).astype(float)
level = [round(float(np.sqrt((y[i:i + 505] ** 2).mean()))) for i in range(0, len(y) - 504, 505)]
print(f"seen: wavefile: FFmpeg reads {len(y)} samples; levels of blocks 1, 15, 16, 17, 18: {level[0]}", *level[14:])
assert len(y) >= 9090 and min(level[:15]) > 5000 and max(level[15:]) == 0, level
E
