#!/usr/bin/env bash
# WebVTT may leave the hours out ("00:01.000 --> 00:02.500"), and may have settings behind the times, which say where a
# caption stands ("align:start", "position:10%"; WebVTT 4.1). One expects @plussub/srt-vtt-parser to read each of them
# together with the other: it reads either alone.
# It splits the end and the settings behind it at colons, and takes what is left for hours, minutes and seconds: with
# "position:10%" the caption lasts for two minutes, with "align:start" its end is NaN. With hours in the times the end
# is right. node-webvtt, subtitle and webvtt-parser read all of them right.
# Captions of a call lie one upon the other, or never leave the screen.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @plussub/srt-vtt-parser@2.0.5 node-webvtt@2.0.0 subtitle@4.2.2 webvtt-parser@2.2.0 >/dev/null
cd "$T"
cat >run.js <<'E'
const assert = require('assert');
const plussub = require('@plussub/srt-vtt-parser'), node = require('node-webvtt'), subtitle = require('subtitle'), { WebVTTParser } = require('webvtt-parser');
for (const name of ['@plussub/srt-vtt-parser', 'node-webvtt', 'subtitle', 'webvtt-parser']) console.log(name, JSON.parse(require('fs').readFileSync(`node_modules/${name}/package.json`)).version);
console.log('expected: an end at 2500 ms, from all');
const end = {
  plussub: text => plussub.parse(text).entries[0].to,
  node: text => node.parse(text).cues[0].end * 1000,
  subtitle: text => subtitle.parseSync(text).find(each => each.type === 'cue').data.end,
  parser: text => new WebVTTParser().parse(text).cues[0].endTime * 1000,
};
for (const [times, seen] of [
  ['00:01.000 --> 00:02.500', 2500], ['00:00:01.000 --> 00:00:02.500 align:start position:10%', 2500],
  ['00:01.000 --> 00:02.500 position:10%', 120010], ['00:01.000 --> 00:02.500 size:40%', 120040], ['00:01.000 --> 00:02.500 align:start', NaN],
]) {
  const text = `WEBVTT\n\n${times}\nHello\n\n`;
  const got = Object.fromEntries(Object.entries(end).map(([name, read]) => [name, read(text)]));
  console.log('seen:', times, JSON.stringify(got, (key, value) => (Number.isNaN(value) ? 'NaN' : value)));
  assert.deepStrictEqual(got, { plussub: seen, node: 2500, subtitle: 2500, parser: 2500 });
}
E
node run.js
