#!/usr/bin/env bash
# A time in SRT has a comma before its milliseconds, "00:00:00,500"; WebVTT has a dot. One expects a package that makes
# SRT of what Amazon Transcribe gives to write commas.
# aws-transcription-to-srt writes dots. Some readers take them (subtitle and parse-srt do). subtitles-parser finds no
# caption in the file and gives no error, srt gives captions without times (null), and @plussub/srt-vtt-parser takes
# the seconds for milliseconds: a caption at 59 s begins at 59 ms, up to a minute early, and lasts for a few
# milliseconds. With commas put in, all read the same.
# The transcript of a call is empty, or none of its words is shown, though the file looks right in a player.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts \
  aws-transcription-to-srt@1.0.6 subtitles-parser@0.0.2 srt@0.0.3 @plussub/srt-vtt-parser@2.0.5 subtitle@4.2.2 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
for (const name of ['aws-transcription-to-srt', 'subtitles-parser', 'srt', '@plussub/srt-vtt-parser', 'subtitle'])
  console.log(name, JSON.parse(require('fs').readFileSync(`node_modules/${name}/package.json`)).version);
const word = (start_time, end_time, content) => ({ type: 'pronunciation', start_time, end_time, alternatives: [{ content }] });
const mark = content => ({ type: 'punctuation', alternatives: [{ content }] });
const items = [word('0.5', '0.9', 'Hello'), mark(','), word('1.25', '1.75', 'world'), mark('.'),
  word('59.5', '61.5', 'Bye'), mark('.')];
const text = require('aws-transcription-to-srt')({ results: { items } });
const times = /\d\d:\d\d:\d\d(.)\d{3} --> .*/.exec(text);
console.log(`expected: 00:00:00,500 --> 00:00:00,900; seen: ${times[0]}`);
assert.strictEqual(times[0], '00:00:00.500 --> 00:00:00.900');
const readers = {
  subtitle: srt => require('subtitle').parseSync(srt).map(({ data }) => [data.start, data.end]),
  'subtitles-parser': srt => require('subtitles-parser').fromSrt(srt, true).map(c => [c.startTime, c.endTime]),
  srt: srt => Object.values(require('srt').fromString(srt)).map(c => [c.startTime, c.endTime]),
  '@plussub/srt-vtt-parser': srt => require('@plussub/srt-vtt-parser').parse(srt).entries.map(c => [c.from, c.to]),
};
const right = [[500, 900], [1250, 1750], [59500, 61500]];
const known = { subtitle: right, 'subtitles-parser': [],
  srt: [[null, null], [null, null], [null, null]], '@plussub/srt-vtt-parser': [[0, 0], [1, 1], [59, 60001]] };
const commas = text.replace(/(:\d\d)\.(?=\d{3})/g, '$1,');
for (const [name, read] of Object.entries(readers)) {
  const seen = JSON.parse(JSON.stringify(read(text)));
  console.log(`${name}: expected ${JSON.stringify(right)}; seen ${JSON.stringify(seen)}`);
  assert.deepStrictEqual(seen, known[name]);
  assert.deepStrictEqual(read(commas), right);
}
E
