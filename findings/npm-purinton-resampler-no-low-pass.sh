#!/usr/bin/env bash
# One expects a resampler with "high-quality windowed-sinc filtering" to take out, on the
# way from 16 to 8 kHz, what is above 4 kHz: it has no place there, and is folded into the
# voice band otherwise. @purinton/resampler has the filter for the INPUT's rate whichever
# way it goes: a 6 kHz tone comes out at 8 kHz as 2 kHz, as loud as it went in, and a
# filterWindow of 64 in place of 8, its one knob for quality, changes nothing.
# wave-resampler takes the tone out. A TTS voice of 16 or 24 kHz goes to the line with its
# "s" and "f" as whistling in the midst of the vowels, and a test with a 1 kHz tone, or by
# length, finds all in order.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @purinton/resampler@1.0.4 wave-resampler@1.0.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { Resampler } = require('@purinton/resampler');
const { resample } = require('wave-resampler');
for (const name of ['@purinton/resampler', 'wave-resampler']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: next to nothing left of what is above 4 kHz');
const level = (x, hz) => { // of the tone at hz, in the middle half
  let a = 0, b = 0, n = 0;
  for (let i = x.length >> 2; i < x.length * 3 >> 2; i++, n++) {
    a += x[i] * Math.cos(2 * Math.PI * hz * i / 8000);
    b += x[i] * Math.sin(2 * Math.PI * hz * i / 8000);
  }
  return Math.round(2 * Math.hypot(a, b) / n);
};
async function run(rate, hz, alias, filterWindow) {
  const samples = Int16Array.from({ length: rate }, (_, i) => Math.round(8000 * Math.sin(2 * Math.PI * hz * (i + 0.3) / rate)));
  const stream = new Resampler({ inRate: rate, outRate: 8000, filterWindow }), parts = [];
  stream.on('data', d => parts.push(d));
  stream.end(Buffer.from(samples.buffer));
  await new Promise(done => stream.on('end', done));
  const data = Buffer.concat(parts), got = new Int16Array(data.length / 2).map((_, i) => data.readInt16LE(2 * i));
  const other = resample(Array.from(samples), rate, 8000);
  const levels = [level(got, alias), level(other, alias)];
  console.log(`seen: ${hz} Hz at ${rate}, level 8000: at ${alias} Hz @purinton/resampler (window ${filterWindow}) ${levels[0]},`,
    `wave-resampler ${levels[1]}`);
  return levels;
}
(async () => {
  for (const [rate, hz, alias, window] of [[16000, 6000, 2000, 8], [16000, 6000, 2000, 64], [24000, 7000, 1000, 8], [48000, 5000, 3000, 8]]) {
    const [bad, good] = await run(rate, hz, alias, window);
    assert(bad > 7900 && bad < 8100 && good < 100);
  }
})().catch(error => { console.error(error); process.exit(1); });
E
