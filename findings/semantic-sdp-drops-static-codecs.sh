#!/usr/bin/env bash
# One expects an SDP library to know the static payload types 0 (PCMU), 8 (PCMA)
# and 9 (G722), which RFC 3264 lets a peer offer without an a=rtpmap line, and
# to keep "a=fmtp:101 0-16" as it is.
# semantic-sdp keeps only the payload types that have an rtpmap line: of the
# offer "0 8 9 101" just telephone-event is left, and the event list is written
# back as "0-16=".
# A plain SIP trunk or desk phone that leaves the rtpmap lines out then seems
# to offer no audio codec at all, and the answer has none.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts semantic-sdp@3.31.1 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { SDPInfo } = require('semantic-sdp');
console.log('semantic-sdp', require('./node_modules/semantic-sdp/package.json').version);
console.log('expected: codecs 0, 8, 9 and 101; fmtp 0-16');
const offer = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0',
  'm=audio 10000 RTP/AVP 0 8 9 101', 'a=rtpmap:101 telephone-event/8000', 'a=fmtp:101 0-16', 'a=ptime:20', ''].join('\r\n');
const info = SDPInfo.parse(offer);
const codecs = [...info.getMedia('audio').getCodecs().values()].map(c => `${c.getType()} ${c.getCodec()}`);
const out = info.toString().split('\r\n').filter(l => /^(m=audio|a=fmtp)/.test(l));
console.log('seen: codecs', codecs.join(', '));
console.log('seen: written back:', out.join(' | '));
assert.deepStrictEqual(codecs, ['101 telephone-event']);
assert(/^m=audio \d+ RTP\/AVP 101$/.test(out[0]), out[0]);
assert.strictEqual(out[1], 'a=fmtp:101 0-16=');
E
