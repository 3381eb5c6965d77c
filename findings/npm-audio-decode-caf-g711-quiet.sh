#!/usr/bin/env bash
# Apple's CAF files hold mu-law and A-law as WAV files do: one byte of G.711 for each sample. @audio/decode-caf,
# which audio-decode takes for CAF, lists both. One expects the same samples as from the same bytes in
# WAV, which are ITU-T G.711's, at full scale 32124 and 32256 of 32768.
# In CAF mu-law comes out at a quarter (12 dB too quiet), as its 14 bits are taken for 16. A-law comes
# out at an eighth (18 dB too quiet) and upside down. @audio/decode-wav by the same authors is right.
# A prompt or recording in CAF is hardly heard beside the others, without an error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @audio/decode-caf@1.4.1 @audio/decode-wav@1.5.1 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import decodeCaf from '@audio/decode-caf';
import decodeWav from '@audio/decode-wav';
for (const name of ['decode-caf', 'decode-wav']) {
  console.log(`@audio/${name}`, JSON.parse(fs.readFileSync(`node_modules/@audio/${name}/package.json`)).version);
}
console.log('expected: the samples of G.711 from both');
// ITU-T G.711, by formula, in 16 bits.
const mulaw = code => {
  const bits = ~code & 255;
  const value = ((((bits & 15) << 3) + 132) << (bits >> 4 & 7)) - 132;
  return bits & 128 ? -value : value;
};
const alaw = code => {
  const bits = code ^ 0x55, segment = bits >> 4 & 7;
  const value = segment ? (((bits & 15) << 4) + 264) << (segment - 1) : ((bits & 15) << 4) + 8;
  return bits & 128 ? value : -value;
};
const number = (bytes, value, write) => {
  const buffer = Buffer.alloc(bytes);
  buffer[write](value, 0, bytes);
  return buffer;
};
const be = (bytes, value) => number(bytes, value, 'writeUIntBE'), le = (bytes, value) => number(bytes, value, 'writeUIntLE');
const be64 = value => Buffer.concat([be(4, 0), be(4, value)]);
const codes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const rate = Buffer.alloc(8);
rate.writeDoubleBE(8000);
const caf = id => Buffer.concat(['caff', be(2, 1), be(2, 0), 'desc', be64(32), rate, id, be(4, 0), be(4, 1), be(4, 1), be(4, 1),
  be(4, 8), 'data', be64(260), be(4, 0), codes].map(part => Buffer.from(part)));
const wav = tag => Buffer.concat(['RIFF', le(4, 294), 'WAVE', 'fmt ', le(4, 18), le(2, tag), le(2, 1), le(4, 8000), le(4, 8000),
  le(2, 1), le(2, 8), le(2, 0), 'data', le(4, 256), codes].map(part => Buffer.from(part)));
for (const [id, tag, law, factor] of [['ulaw', 7, mulaw, 1 / 4], ['alaw', 6, alaw, -1 / 8]]) {
  const inCaf = decodeCaf(caf(id)), inWav = decodeWav(wav(tag));
  for (const code of [0x80, 0x00, 0xd5, 0x2a]) {
    console.log(`seen: ${id} 0x${code.toString(16)} is ${law(code)}; in WAV ${Math.round(inWav.channelData[0][code] * 32768)}`
      + `, in CAF ${Math.round(inCaf.channelData[0][code] * 32768)}`);
  }
  assert(inCaf.sampleRate === 8000 && inCaf.channelData[0].length === 256);
  for (let code = 0; code < 256; code++) {
    assert(Math.abs(inWav.channelData[0][code] * 32768 - law(code)) <= 4);
    assert(Math.abs(inCaf.channelData[0][code] * 32768 - law(code) * factor) <= 2);
  }
}
E
node run.mjs
