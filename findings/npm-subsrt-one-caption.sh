#!/usr/bin/env bash
# Captions in SRT and WebVTT are parted by an empty line, and a line may end in LF or CRLF (WebVTT 4.1). FFmpeg,
# Whisper and most libraries for transcripts write LF. One expects subsrt, "subtitle converter JavaScript library and
# command line tool", to read them.
# It parts them at CRLF only. A whole SRT file with LF is one caption, with the times of the first, and all other
# numbers and times as its text. A WebVTT file with LF has no caption at all. Nothing is raised.
# Converted from SRT to WebVTT the later times keep their commas, so that players drop them. With CRLF all is right, and
# so is subsrt-ts, made from it, in both.
# The captions of a call end after its first sentence.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts subsrt@1.1.1 subsrt-ts@2.1.2 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const subsrt = require('subsrt'), other = require('subsrt-ts');
for (const name of ['subsrt', 'subsrt-ts']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: three captions, at 1, 3 and 5 seconds');
const lines = mark => [1, 3, 5].flatMap((s, i) => [`${i + 1}`, `00:00:0${s}${mark}000 --> 00:00:0${s + 1}${mark}500`, `sentence ${i + 1}`, '']);
const files = { srt: lines(','), vtt: ['WEBVTT', '', ...lines('.')] };
const starts = captions => captions.filter(c => c.type === 'caption').map(c => c.start);
for (const [kind, file] of Object.entries(files)) {
  for (const [name, end, told] of [['LF', '\n', kind === 'srt' ? [1000] : []], ['CRLF', '\r\n', [1000, 3000, 5000]]]) {
    const text = file.join(end), got = starts(subsrt.parse(text)), known = starts(other.parse(text));
    console.log(`seen: ${kind} with ${name}: subsrt ${got.length} caption(s) at ${got.join(', ') || 'no'} ms; subsrt-ts ${known.join(', ')} ms`);
    assert.deepStrictEqual([got, known], [told, [1000, 3000, 5000]]);
  }
}
const text = subsrt.convert(files.srt.join('\n'), { format: 'vtt' }).split(/\r?\n/).filter(line => line.includes('-->'));
console.log(`seen: converted to vtt: ${text.join('; ')}`);
assert.deepStrictEqual(text.map(line => line.includes(',')), [false, true, true]);
E
