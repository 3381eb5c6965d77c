#!/usr/bin/env bash
# audio-mixer mixes streams of PCM. Its volume goes from 0 to 100 and is 100 if not given. Its InterleavedMixer
# puts each input on a channel of its own, counted from 0. One expects volume 0 to be silence, as volume 1 is
# almost silent, and one expects channel 0 to be the left one, whichever input comes first.
# It takes a 0 for "not given": an input made with volume 0 is heard in full, and one with volume 1 is 40 dB
# lower. setVolume(0) later is silence. An input for channel 0 gets the next free place: all is well if it comes
# first. If channel 1 came first, it lands behind both channels, and is never read: the left side stays silent.
# Who joins a conference muted is heard. A recording of a call with one party to a side has only one
# party whenever the other one's stream was there first, without an error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts audio-mixer@2.1.4 >/dev/null
cd "$T"
node --no-deprecation - <<'E'
const assert = require('assert');
const { Mixer, InterleavedMixer } = require('audio-mixer');
console.log('audio-mixer', require('./node_modules/audio-mixer/package.json').version);
const format = { bitDepth: 16, sampleRate: 8000 };
const frame = value => Buffer.from(new Int16Array(160).fill(value).buffer);
async function read(mixer) {
  let out;
  while (!(out = mixer.read())) await new Promise(resolve => mixer.once('readable', resolve));
  mixer.close();
  return out;
}
(async () => {
  for (const [volume, right, told] of [[100, 8000, 8000], [50, 4000, 4000], [1, 80, 80], [0, 0, 8000]]) {
    const mixer = new Mixer({ channels: 1, ...format });
    mixer.input({ channels: 1, volume }).write(frame(8000));
    const seen = (await read(mixer)).readInt16LE(200);
    console.log(`8000 at volume ${volume}: expected ${right}; seen ${seen}`);
    assert.strictEqual(seen, told);
  }
  for (const [order, told] of [[[0, 1], [1000, 2000]], [[1, 0], [0, 2000]]]) {
    const mixer = new InterleavedMixer({ channels: 2, ...format });
    for (const channel of order) mixer.input({ channels: 1 }, channel).write(frame([1000, 2000][channel]));
    const out = await read(mixer), seen = [out.readInt16LE(0), out.readInt16LE(2)];
    console.log(`channel ${order.join(', then ')}: expected 1000 left, 2000 right; seen ${seen.join(', ')}`);
    assert.deepStrictEqual(seen, told);
  }
  process.exit();  // Its timers go on.
})();
E
