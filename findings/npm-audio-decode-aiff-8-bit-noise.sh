#!/usr/bin/env bash
# Samples in AIFF are signed, of 8 bits too ("2's complement", Apple's "Audio Interchange File Format", section 3):
# silence is 0, where in WAV it is 128. One expects @audio/decode-aiff, which audio-decode takes
# for AIFF, to know it. It reads 8 bit as unsigned: silence becomes -1, the end of the scale, and each crossing
# of zero a jump over the whole scale, so that a quiet voice is loud buzzing. 16 bit is right, and so
# are 8 bits in @audio/decode-wav, where they are unsigned.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @audio/decode-aiff@1.3.0 @audio/decode-wav@1.5.1 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import decodeAiff from '@audio/decode-aiff';
import decodeWav from '@audio/decode-wav';
for (const name of ['decode-aiff', 'decode-wav']) {
  console.log(`@audio/${name}`, JSON.parse(fs.readFileSync(`node_modules/@audio/${name}/package.json`)).version);
}
console.log('expected: the same samples from each file');
const number = (bytes, value, write) => {
  const buffer = Buffer.alloc(bytes);
  buffer[write](value, 0, bytes);
  return buffer;
};
const be = (bytes, value) => number(bytes, value, 'writeIntBE'), le = (bytes, value) => number(bytes, value, 'writeIntLE');
const join = parts => Buffer.concat(parts.map(part => Buffer.from(part)));
const samples = [0, 1, 2, -1, -2, 0, 10, -10, 60, -60];
const rate = [0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0]; // 8000 as an extended float of 80 bits
const aiff = bytes => {
  const data = join(samples.map(s => be(bytes, s * 256 ** (bytes - 1))));
  return join(['FORM', be(4, 46 + data.length), 'AIFF', 'COMM', be(4, 18), be(2, 1), be(4, samples.length), be(2, 8 * bytes), rate,
    'SSND', be(4, 8 + data.length), be(4, 0), be(4, 0), data]);
};
const wav = join(['RIFF', le(4, 36 + samples.length), 'WAVE', 'fmt ', le(4, 16), le(2, 1), le(2, 1), le(4, 8000),
  le(4, 8000), le(2, 1), le(2, 8), 'data', le(4, samples.length), samples.map(s => s + 128)]);
const seen = (what, { channelData, sampleRate }) => {
  const got = Array.from(channelData[0], v => Math.round(v * 128));
  console.log(`seen: ${what}: ${got.join(', ')} (in 128ths)`);
  assert.strictEqual(sampleRate, 8000);
  return got;
};
console.log(`written: ${samples.join(', ')}`);
assert.deepStrictEqual(seen('AIFF, 16 bit', decodeAiff(aiff(2))), samples);
assert.deepStrictEqual(seen('WAV, 8 bit', decodeWav(wav)), samples);
assert.deepStrictEqual(seen('AIFF, 8 bit', decodeAiff(aiff(1))), samples.map(s => (s & 255) - 128));
E
node run.mjs
