#!/usr/bin/env bash
# HEP3 carries signalling and call quality to Homer. It has chunks for IPv4 addresses (3 and 4,
# four bytes) and for IPv6 (5 and 6, sixteen bytes). One expects hep-js, from Homer's makers, to
# put an IPv6 address into chunk 5, to read chunk 5, and to send a message whole.
# It sends 0.0.0.0 in chunk 3, with protocol family 10 (IPv6) beside it, and reads no address
# out of chunk 5. It counts letters for bytes: each accent in a caller's name takes a byte from
# the end of the message. The fields that its README's rcinfo has, ip_family, payload_type,
# time_sec and time_usec, are not read: such a packet is of 1970, and of no protocol.
# Calls over IPv6 all come from and go to one address, and nothing fails.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts hep-js@1.0.22 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert'), hep = require('hep-js');
console.log('hep-js', require('./node_modules/hep-js/package.json').version);
const chunks = packet => {
  const found = new Map();
  for (let at = 6; at < packet.length; at += packet.readUInt16BE(at + 4)) found.set(packet.readUInt16BE(at + 2), packet.subarray(at + 6, at + packet.readUInt16BE(at + 4)));
  return found;
};
const info = { protocolFamily: 2, protocol: 17, srcIp: '192.0.2.1', dstIp: '192.0.2.2', srcPort: 5060, dstPort: 5060, timeSeconds: 1700000000, timeUseconds: 5, payloadType: 1, captureId: 1 };
const v4 = chunks(hep.encapsulate('OPTIONS', info));
assert.deepStrictEqual([v4.get(1)[0], [...v4.get(3)], v4.get(11)[0], v4.get(9).readUInt32BE()], [2, [192, 0, 2, 1], 1, 1700000000]);

const v6 = chunks(hep.encapsulate('OPTIONS', { ...info, protocolFamily: 10, srcIp: '2001:db8::1', dstIp: '2001:db8::2' }));
console.log('expected: family 10, chunk 5 with 2001:db8::1');
console.log('seen: family', v6.get(1)[0], 'chunk 5', v6.get(5), 'chunk 3', [...v6.get(3)].join('.'));
assert.deepStrictEqual([v6.get(1)[0], v6.has(5), [...v6.get(3)], [...v6.get(4)]], [10, false, [0, 0, 0, 0], [0, 0, 0, 0]]);

const chunk = (type, ...bytes) => Buffer.from([0, 0, 0, type, 0, bytes.length + 6, ...bytes]);
const address = last => [0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), last];
const body = Buffer.concat([chunk(1, 10), chunk(2, 17), chunk(5, ...address(1)), chunk(6, ...address(2)), chunk(15, ...Buffer.from('OPTIONS'))]);
const read = hep.decapsulate(Buffer.concat([Buffer.from('HEP3'), Buffer.from([0, body.length + 6]), body]));
console.log('expected: a source address read from chunk 5; seen:', JSON.stringify(read));
assert.deepStrictEqual([read.rcinfo.protocolFamily, read.rcinfo.srcIp, read.payload], [10, undefined, 'OPTIONS']);

const text = 'From: "José" <sip:7@pbx>\r\nEND', sent = chunks(hep.encapsulate(text, info)).get(15);
console.log('expected:', Buffer.byteLength(text), 'bytes of message; seen:', sent.length);
assert.strictEqual(sent.length, Buffer.byteLength(text) - 1);

const readme = { type: 'HEP', version: 3, payload_type: 'SIP', captureId: '2001', ip_family: 2, time_sec: 1700000000, time_usec: 5, protocol: 17, proto_type: 1, srcIp: '192.0.2.1', dstIp: '192.0.2.2', srcPort: 5060, dstPort: 5060 };
const r = chunks(hep.encapsulate('OPTIONS', readme));
console.log("expected with the README's fields: family 2, type 1, time 1700000000; seen:", r.get(1)[0], r.get(11)[0], r.get(9).readUInt32BE());
assert.deepStrictEqual([r.get(1)[0], r.get(11)[0], r.get(9).readUInt32BE()], [0, 0, 0]);
E
