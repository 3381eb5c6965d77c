#!/usr/bin/env bash
# A recorded call has a channel for each side. node-audio-mixer takes inputs of any rate and number of channels,
# and converts them to its own. One expects a mono mixer to give both sides of a stereo input, and a stereo mixer
# of another rate to keep each side in its channel.
# From stereo to mono it takes the left channel and drops the right: the callee is gone. On the way to another rate it
# takes a stereo stream for a mono one, sample by sample: from 8 to 16 kHz each frame of left and right becomes
# two, one with the left sample in both channels and one with the right, so that each channel has
# both sides, at half their level. Mono inputs, and stereo at the mixer's own rate, are right.
# A mix of recordings has one half of each talk only, without an error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts node-audio-mixer@1.3.7 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import mixers from 'node-audio-mixer';
console.log('node-audio-mixer', JSON.parse(fs.readFileSync('node_modules/node-audio-mixer/package.json')).version);
console.log('expected: 440 Hz of the left side and 1000 Hz of the right in mono; each in its own channel in stereo');
const N = 4000; // frames, half a second at 8 kHz
const level = (x, hz, rate) => { // of a tone, in whole cycles
  let a = 0, b = 0;
  x.forEach((v, i) => { a += v * Math.cos(2 * Math.PI * hz * i / rate); b += v * Math.sin(2 * Math.PI * hz * i / rate); });
  return Math.round(2 * Math.hypot(a, b) / x.length / 100) * 100;
};
async function mix(channelsIn, out) {
  const data = Buffer.alloc(N * channelsIn * 2);
  for (let i = 0; i < N; i++) {
    [440, 1000].slice(0, channelsIn).forEach((hz, c) =>
      data.writeInt16LE(Math.round(8000 * Math.sin(2 * Math.PI * hz * i / 8000)), 2 * (i * channelsIn + c)));
  }
  const mixer = new mixers.AudioMixer({ bitDepth: 16, autoClose: true, ...out });
  const input = mixer.createAudioInput({ sampleRate: 8000, bitDepth: 16, channels: channelsIn });
  const parts = [];
  mixer.on('data', d => parts.push(d));
  input.end(data);
  await new Promise(done => mixer.on('end', done));
  const all = Buffer.concat(parts), frames = all.length / 2 / out.channels, rate = out.sampleRate;
  assert.strictEqual(frames, N * rate / 8000);
  return Array.from({ length: out.channels }, (_, c) => {
    const x = Array.from({ length: frames }, (_, i) => all.readInt16LE(2 * (i * out.channels + c)));
    return [440, 1000].map(hz => level(x, hz, rate));
  });
}
for (const [text, channelsIn, out, right] of [
  ['mono at 8 kHz to mono', 1, { sampleRate: 8000, channels: 1 }, [[8000, 0]]],
  ['stereo to stereo', 2, { sampleRate: 8000, channels: 2 }, [[8000, 0], [0, 8000]]],
  ['stereo to mono', 2, { sampleRate: 8000, channels: 1 }, [[8000, 0]]],
  ['stereo to stereo at 16 kHz', 2, { sampleRate: 16000, channels: 2 }, null],
]) {
  const got = await mix(channelsIn, out);
  console.log(`seen: ${text}: ${got.map(([a, b], c) => `channel ${c}: 440 Hz ${a}, 1000 Hz ${b}`).join('; ')}`);
  if (right) assert.deepStrictEqual(got, right);
  else assert(got.flat().every(v => v > 3000 && v < 5000)); // half of either side in both
}
E
node run.mjs
