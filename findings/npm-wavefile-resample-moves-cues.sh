#!/usr/bin/env bash
# Cue points of a WAV file mark where a prompt may be cut or a menu begins; the file holds them as numbers of samples.
# wavefile sets them by milliseconds (setCuePoint({position: 500})), lists them by milliseconds, and brings
# a file to another rate (toSampleRate), for a telephone mostly from 48 to 8 kHz. One expects a cue at
# half a second to be at half a second after that, as the sound itself is.
# The numbers stay as they were: from 48 to 8 kHz each cue point comes six times too late, behind the end
# of the file for most, and the ends of regions likewise. wavefile itself lists them so.
# A player that goes by the cue points never finds the menu.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts wavefile@11.0.0 >/dev/null
cd "$T"
cat >run.cjs <<'E'
const assert = require('assert');
const { WaveFile } = require('wavefile');
console.log('wavefile', require('./node_modules/wavefile/package.json').version);
console.log('expected: a click at 500 ms, and the cue points where they were set');
const samples = new Int16Array(48000);
samples.fill(16000, 24000, 24048); // 1 ms, at 500 ms
const wav = new WaveFile();
wav.fromScratch(1, 48000, '16', samples);
wav.setCuePoint({ position: 500, label: 'menu' });
wav.setCuePoint({ position: 600, end: 900, label: 'options' });
const click = () => {
  const all = wav.getSamples();
  return all.reduce((best, value, i) => Math.abs(value) > Math.abs(all[best]) ? i : best, 0) * 1000 / wav.fmt.sampleRate;
};
const cues = () => wav.listCuePoints().map(({ label, position, end }) => [label, position, end]);
const seen = () => {
  const all = cues();
  console.log(`seen: ${wav.fmt.sampleRate} Hz, ${wav.getSamples().length} samples: click at ${click().toFixed(0)} ms, cues`,
    JSON.stringify(all));
  assert(Math.abs(click() - 500) < 3);
  return all;
};
assert.deepStrictEqual(seen(), [['menu', 500, null], ['options', 600, 900]]);
wav.toSampleRate(8000);
assert.deepStrictEqual(seen(), [['menu', 3000, null], ['options', 3600, 5400]]);
wav.fromBuffer(wav.toBuffer()); // as another program finds them in the file
assert.deepStrictEqual(seen(), [['menu', 3000, null], ['options', 3600, 5400]]);
E
node run.cjs
