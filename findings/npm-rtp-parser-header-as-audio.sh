#!/usr/bin/env bash
# One expects an RTP parser that reports the padding and extension bits and the
# CSRC list to leave the extension and the padding out of the payload, and to
# read the CSRCs from byte 12 on.
# The npm package rtp-parser hands the 8 bytes of a one-byte header extension
# and the padding out as payload, and reads the CSRCs from byte 9, so that each
# mixes SSRC bytes with the real one. Other parsers (rtp.js here) do it right.
# A PCMU stream from WebRTC gateways (audio level extension) or conference
# mixers (CSRCs) then has eight bytes of clicks in every 20 ms, 168 samples in
# place of 160, and wrong speakers.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts rtp-parser@1.0.0 rtp.js@0.15.5 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { parseRtpPacket } = require('rtp-parser');
const { packets: { RtpPacket } } = require('rtp.js');
for (const p of ['rtp-parser', 'rtp.js']) {
  console.log(p, JSON.parse(require('fs').readFileSync(`node_modules/${p}/package.json`)).version);
}
console.log('expected: 160 bytes of payload each time, CSRCs 11111111 22222222');
const audio = Buffer.alloc(160, 0xff);
const head = first => Buffer.from([first, 0, 3, 232, 0, 2, 113, 0, 0xde, 0xca, 0xfb, 0xad]);
const cases = {
  extension: [Buffer.concat([head(0x90), Buffer.from([0xbe, 0xde, 0, 1, 0x10, 0x95, 0, 0]), audio]), 168, []],
  padding: [Buffer.concat([head(0xa0), audio, Buffer.from([0, 0, 0, 4])]), 164, []],
  csrc: [Buffer.concat([head(0x82), Buffer.from('1111111122222222', 'hex'), audio]), 160, ['cafbad11', '11111122']],
};
for (const [name, [buf, length, csrc]] of Object.entries(cases)) {
  const p = parseRtpPacket(buf);
  const seen = p.csrc.map(v => v.toString(16));
  const q = new RtpPacket(new DataView(buf.buffer, buf.byteOffset, buf.length));
  console.log(`seen: ${name}: rtp-parser payload ${p.payload.length}, CSRCs ${seen.join(' ') || '-'}; rtp.js payload ${q.getPayload().byteLength}`);
  assert.strictEqual(p.payload.length, length);
  assert.deepStrictEqual(seen, csrc);
  assert.strictEqual(q.getPayload().byteLength, 160);
}
E
