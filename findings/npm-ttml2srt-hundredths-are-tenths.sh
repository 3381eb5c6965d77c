#!/usr/bin/env bash
# TTML writes a caption's time as hours, minutes, seconds and frames ("00:00:01:02"), or as a number with a
# unit ("2.05s", "50ms", "26f"; TTML2, 12.3.1). SRT writes three digits of milliseconds behind the comma.
# One expects ttml2srt to write frame 2 of 25 as ",080", and 2.05 s as "00:00:02,050".
# It fills the milliseconds up with zeros from the right, not from the left: 80 ms become ",800", and 4 ms ",400".
# So a time less than 100 ms behind a full second comes up to 0.9 s too late, and the others are right. At 25
# frames a second that meets frames 1 and 2 of each second. A time that rounds up to the next second comes
# 0.9 s too early.
# Captions jump, some end before they begin, and two that followed each other overlap. There is no error, and
# the usual test, a time with a whole or a half second, passes.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ttml2srt@1.2.4 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { ttml2srt } = require('ttml2srt');
console.log('ttml2srt', require('./node_modules/ttml2srt/package.json').version);
console.info = () => {};  // It tells the frame rate there.
function srt(begin, end) {
  const p = `<p begin="${begin}" end="${end}">Please hold.</p>`;
  const tt = `<tt xmlns="http://www.w3.org/ns/ttml" ttp:frameRate="25"><body><div>${p}</div></body></tt>`;
  return ttml2srt(tt).split('\r\n')[1];
}
for (const [begin, end, right, told] of [
  ['1s', '2.5s', '00:00:01,000 --> 00:00:02,500', '00:00:01,000 --> 00:00:02,500'],
  ['00:00:01.040', '00:00:02.050', '00:00:01,040 --> 00:00:02,050', '00:00:01,040 --> 00:00:02,050'],
  ['1.04s', '2.05s', '00:00:01,040 --> 00:00:02,050', '00:00:01,400 --> 00:00:02,500'],
  ['50ms', '1004ms', '00:00:00,050 --> 00:00:01,004', '00:00:00,500 --> 00:00:01,400'],
  ['1.9996s', '3s', '00:00:02,000 --> 00:00:03,000', '00:00:01,100 --> 00:00:03,000'],
  ['27f', '53f', '00:00:01,080 --> 00:00:02,120', '00:00:01,800 --> 00:00:02,120'],
  ['00:00:01:03', '00:00:02:24', '00:00:01,120 --> 00:00:02,960', '00:00:01,120 --> 00:00:02,960'],
  ['00:00:01:02', '00:00:01:10', '00:00:01,080 --> 00:00:01,400', '00:00:01,800 --> 00:00:01,400'],
]) {
  const seen = srt(begin, end);
  console.log(`${begin} to ${end}: expected ${right}; seen ${seen}`);
  assert.strictEqual(seen, told);
}
E
