#!/usr/bin/env bash
# STUN pads attributes to four bytes, and says of the padding that it "may be any value" and is
# ignored (RFC 5389, 15). RFC 5769, the test vectors for it, has spaces there, as libnice
# (GStreamer, Janus) sends them. One expects a package for STUN to find these messages good.
# All three on npm, stun, @msimerson/stun and webrtc-stun, find fingerprint and integrity wrong:
# they write the message anew, with zeros for padding, and hash that. With zeros they agree.
# ICE drops such a check and answers nobody. It shows with some lengths of name only: where
# SOFTWARE and USERNAME fill whole words there is no padding, and all is well.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts stun@2.1.0 @msimerson/stun@3.2.1 webrtc-stun@3.0.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert'), { createHmac } = require('crypto');
// RFC 5769, 2.2: a response with SOFTWARE "test vector" and one byte of padding, 0x20.
const vector = Buffer.from('0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f72200020000800'
  + '01a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96', 'hex');
const key = 'VOkJxbRl1RmTxUk/WvJxBt';
const attribute = (type, value) => Buffer.concat([Buffer.from([type >> 8, type & 255, 0, value.length]), value]);
const crc32 = bytes => ~bytes.reduce((c, byte) => { c ^= byte; for (let i = 0; i < 8; i++) c = c & 1 ? c >>> 1 ^ 0xedb88320 : c >>> 1; return c; }, ~0);
function message(padding) {
  const packet = Buffer.from(vector.subarray(0, 48));
  packet[35] = padding;
  const signed = (body, length) => { const b = Buffer.from(body); b.writeUInt16BE(length, 2); return b; };
  const integrity = createHmac('sha1', key).update(signed(packet, 28 + 24)).digest();
  const whole = signed(Buffer.concat([packet, attribute(8, integrity)]), 28 + 24 + 8), crc = Buffer.alloc(4);
  crc.writeUInt32BE((crc32(whole) ^ 0x5354554e) >>> 0);
  return Buffer.concat([whole, attribute(0x8028, crc)]);
}
assert(message(0x20).equals(vector));
const seen = {};
for (const name of ['stun', '@msimerson/stun', 'webrtc-stun']) {
  const lib = require(name);
  console.log(name, require(`./node_modules/${name}/package.json`).version);
  for (const padding of [0x20, 0]) {
    let found;
    if (lib.decode) {
      const m = lib.decode(message(padding));
      found = [lib.validateFingerprint(m), lib.validateMessageIntegrity(m, key)];
    } else {
      const m = lib.createBlank();
      assert(m.loadBuffer(message(padding)));
      found = [m.validateFingerprint(), m.validateMessageIntegrity(key)];
    }
    console.log(`  padding ${padding}: expected [true,true] (fingerprint, integrity), seen`, JSON.stringify(found));
    seen[name] = [...(seen[name] || []), found];
  }
}
for (const found of Object.values(seen)) assert.deepStrictEqual(found, [[false, false], [true, true]]);
E
