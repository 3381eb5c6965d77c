#!/usr/bin/env bash
# One expects an A-law encoder to send the samples -1 to -7 (all but silence)
# to the code next to zero, 0x55, which decodes to -8.
# The npm package g711 sends them to 0x5A, which decodes to -248: the far end of
# the lowest segment, and 30 times as loud. The same samples with a plus sign are right.
# On a PCMA line the faint noise of a quiet room, or a dithered silence, becomes
# a clearly audible crackle at about -39 dBm0 that can also trip a VAD.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts g711@1.0.1 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { alawFromPCM, alawToPCM } = require('g711');
console.log('g711', require('./node_modules/g711/package.json').version);
console.log('expected: -1..-7 -> 0x55 -> -8');
const samples = Int16Array.from([-9, -8, -7, -4, -1, 0, 1, 7]);
const codes = Array.from(alawFromPCM(samples));
const back = Array.from(alawToPCM(Uint8Array.from(codes), 16));
samples.forEach((s, i) => console.log(`seen: ${s} -> 0x${codes[i].toString(16)} -> ${back[i]}`));
assert.deepStrictEqual(back, [-8, -8, -248, -248, -248, 8, 8, 8]);
let x = Int16Array.from({ length: 8000 }, (_, i) => [0, -1, 1, -2][(i * 7) % 4]);
let y = alawToPCM(alawFromPCM(x), 16);
const rms = a => Math.sqrt(a.reduce((t, v) => t + v * v, 0) / a.length);
console.log(`seen: near-silence of level ${rms(x).toFixed(1)} comes back at level ${rms(y).toFixed(1)}`);
assert(rms(x) < 2 && rms(y) > 150);
E
