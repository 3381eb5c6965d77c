#!/usr/bin/env bash
# The numbers in SDP's m= line stand in the order of preference (RFC 8866, 5.14; RFC 3264, 5.1), and an answer
# names only what the offer named (6.1). One expects rtc-sdp/prefer-codecs to put the codec first that it is
# given, and to leave the rest alone.
# It finds only every other a=rtpmap: line: its pattern remembers where the last match ended, and looks from there
# in the next line. A codec in between stays where it is, if its number is dynamic. If it has a fixed one, that
# comes from a table, and stands in the line twice. A codec with a fixed number that nobody named is added.
# Who prefers Opus to save bandwidth gets G.711 or Opus by the order of the lines. An answer promises
# G.722 to a peer that did not offer it. A test with the codec in the first line passes.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts rtc-sdp@1.3.1 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const prefer = require('rtc-sdp/prefer-codecs');
console.log('rtc-sdp', require('./node_modules/rtc-sdp/package.json').version);
const codecs = [[0, 'PCMU/8000'], [8, 'PCMA/8000'], [96, 'speex/16000'], [111, 'opus/48000/2'],
  [97, 'iLBC/8000'], [101, 'telephone-event/8000']];
const sdp = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0',
  `m=audio 4000 RTP/AVP ${codecs.map(([number]) => number).join(' ')}`,
  ...codecs.map(([number, name]) => `a=rtpmap:${number} ${name}`), ''].join('\r\n');
for (const [codec, right, told] of [
  ['PCMU/8000', '0 8 96 111 97 101', '0 8 96 111 97 101'],
  ['PCMA/8000', '8 0 96 111 97 101', '8 0 8 96 111 97 101'],
  ['speex/16000', '96 0 8 111 97 101', '96 0 8 111 97 101'],
  ['opus/48000/2', '111 0 8 96 97 101', '0 8 96 111 97 101'],
  ['iLBC/8000', '97 0 8 96 111 101', '97 0 8 96 111 101'],
  ['telephone-event/8000', '101 0 8 96 111 97', '0 8 96 111 97 101'],
  ['G722/8000', '0 8 96 111 97 101', '9 0 8 96 111 97 101'],
]) {
  const seen = prefer([codec])(sdp).match(/^m=audio 4000 RTP\/AVP (.*)\r$/m)[1];
  console.log(`${codec} first: expected ${right}; seen ${seen}`);
  assert.strictEqual(seen, told);
}
E
