#!/usr/bin/env bash
# Samples of 8 bits in WAV are unsigned, with silence at 128. x-law (G.711 for Node.js) measures the level of a Buffer
# with utils.calculateLoudness(buffer, bitDepth), for 8, 16, 24, 32 and 48 bits, and makes WAV headers for
# the same depths. One expects silence to be the lowest level, and a tone at full scale -3 dB, as in 16 bits
# (-100 and -3.0). At 8 bits it takes the bytes as they are, without the offset of 128: silence is
# +0.1 dB, and the tone at full scale is -6.1: the quieter the sound, the higher its level.
# A detector of silence set to -40 dB never fires; levels of a call rise in its pauses.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts x-law@0.3.1 >/dev/null
cd "$T"
cat >run.cjs <<'E'
const assert = require('assert');
const { utils } = require('x-law');
console.log('x-law', require('./node_modules/x-law/package.json').version);
console.log('expected: silence far below each tone, and the same tone at the same level with 8 and 16 bits');
const tone = (amplitude, i) => amplitude * Math.sin(2 * Math.PI * 400 * i / 8000);
const level = {};
for (const [what, amplitude] of [['silence', 0], ['tone at -20 dB', 0.1], ['tone at full scale', 1]]) {
  const wide = Buffer.alloc(16000), narrow = Buffer.alloc(8000);
  for (let i = 0; i < 8000; i++) {
    wide.writeInt16LE(Math.round(32767 * tone(amplitude, i)), 2 * i);
    narrow[i] = 128 + Math.round(127 * tone(amplitude, i));
  }
  level[what] = [utils.calculateLoudness(narrow, 8), utils.calculateLoudness(wide, 16)];
  console.log(`seen: ${what}: ${level[what][0].toFixed(1)} dB with 8 bits, ${level[what][1].toFixed(1)} dB with 16`);
}
assert(utils.createWavHeader(8000, 8000, 1, 8).readUInt16LE(34) === 8); // the header for such samples
const near = (a, b) => assert(Math.abs(a - b) < 0.2);
near(level.silence[0], 0.07);
near(level['tone at full scale'][0], -6.1);
near(level['tone at full scale'][1], -3.0);
near(level['tone at -20 dB'][1], -23.0);
assert(level.silence[0] > level['tone at -20 dB'][0] && level.silence[0] > level['tone at full scale'][0]);
assert(level.silence[1] <= -90);
E
node run.cjs
