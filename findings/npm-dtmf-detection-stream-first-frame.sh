#!/usr/bin/env bash
# One expects a Node.js stream to use the bytes of the Buffer that it is given.
# A Buffer may be a part of a larger ArrayBuffer, at byteOffset, as Node's
# documentation says of its pool and of subarray.
# dtmf-detection-stream takes the first bytes of that ArrayBuffer in place of
# the Buffer's own: a call cut into 20 ms frames with subarray is to it the
# first frame, over and over, and it hears no digit. With a copy of each frame in
# an ArrayBuffer of its own it hears them all.
# Frames cut from a WebSocket message or RTP packet, and small Buffers of Node's pool,
# are of the first kind: keys are not heard, or others than were pressed.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts dtmf-detection-stream@1.18.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const Detector = require('dtmf-detection-stream');
console.log('dtmf-detection-stream', require('./node_modules/dtmf-detection-stream/package.json').version);
console.log('expected: 159 both times');
const samples = [], tone = (ms, ...hz) => {
  for (let i = 0; i < ms * 8; i++) samples.push(hz.reduce((s, f) => s + 8000 * Math.sin(2 * Math.PI * f * i / 8000), 0));
};
tone(100);
for (const pair of [[697, 1209], [770, 1336], [852, 1477]]) { tone(100, ...pair); tone(100); }
const call = Buffer.alloc(samples.length * 2);
samples.forEach((value, i) => call.writeInt16LE(Math.round(value), 2 * i));
const heard = frame => {
  const detector = new Detector({ format: { sampleRate: 8000, bitDepth: 16, channels: 1 } });
  let digits = '';
  detector.on('dtmf', ({ digit }) => { digits += digit; });
  for (let i = 0; i < call.length; i += 320) detector.write(frame(call.subarray(i, i + 320)));
  return digits;
};
const sliced = heard(frame => frame), copied = heard(frame => Buffer.from(new Uint8Array(frame).buffer));
console.log(`seen: with subarray "${sliced}", with a copy of each frame "${copied}"`);
assert.strictEqual(sliced, '');
assert.strictEqual(copied, '159');
process.exit(0);
E
