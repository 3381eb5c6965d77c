#!/usr/bin/env bash
# One expects the parameters of "a=fmtp:97 ..." to belong to payload type 97
# only: RFC 8866, 6.15, has the format's number in the line, as a whole word.
# sdp-jingle-json takes each line that BEGINS with "a=fmtp:9" for payload type 9
# too, so that G722 gets the parameters of AMR (or of any other 90 to 99), and
# they are in the SDP that it writes again. With 96 to 99 as dynamic types, 9 is the
# one static type to suffer, and only in offers that have both.
# A peer sees G722 with mode-set and octet-align, which G722 does not have, and
# may refuse the one wideband codec of the call.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts sdp-jingle-json@3.1.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const jingle = require('sdp-jingle-json');
console.log('sdp-jingle-json', require('./node_modules/sdp-jingle-json/package.json').version);
console.log('expected: parameters of 97 only: a=fmtp:97 ...');
const offer = number => ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0',
  `m=audio 10000 RTP/AVP 9 ${number}`, 'a=rtpmap:9 G722/8000', `a=rtpmap:${number} AMR/8000`,
  `a=fmtp:${number} octet-align=1`, ''].join('\r\n');
for (const [number, extra] of [[97, ['a=fmtp:9 octet-align=1']], [107, []]]) {
  const session = jingle.toSessionJSON(offer(number), {});
  const out = jingle.toSessionSDP(session, { sid: '1', time: 1 }).split('\r\n').filter(l => l.startsWith('a=fmtp'));
  const g722 = session.contents[0].application.payloads.find(p => p.name === 'G722').parameters;
  console.log(`seen: AMR as ${number}: G722 has ${JSON.stringify(g722)}; written back: ${out.join(' | ')}`);
  assert.deepStrictEqual(out, [...extra, `a=fmtp:${number} octet-align=1`]);
  assert.strictEqual(g722.length, extra.length);
}
E
