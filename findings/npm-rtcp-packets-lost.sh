#!/usr/bin/env bash
# The reports of RTCP have a "cumulative number of packets lost", a SIGNED number of 24
# bits: by RFC 3550, 6.4.1 and A.3, it is below zero where packets have come twice. One
# expects RTP libraries to read 5000 as 5000, and -1 as -1. rtp.js reads 12 bits of it: 4096
# lost packets are none, 5000 are 904, and -1 is 4095. It also writes -1 as 0x800001, which
# by the RFC is -8388607. werift-rtp reads it without the sign: one packet that came twice
# is 16777215 packets lost. A monitor that alarms at loss, or adapts a codec to it, sees a
# call of perfect quality as all lost, and one that has lost some minutes as nearly perfect.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts rtp.js@0.15.5 werift-rtp@0.8.9 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import { packets } from 'rtp.js';
import werift from 'werift-rtp';
for (const name of ['rtp.js', 'werift-rtp']) console.log(name, JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version);
console.log('expected: the number that was sent, from both');
const report = lost => {
  const data = Buffer.alloc(32);
  data.set([0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2]);
  data.writeInt32BE(lost & 0xffffff, 12);
  data.writeUInt32BE(65541, 16);
  return data;
};
for (const [lost, one, two] of [[0, 0, 0], [4095, 4095, 4095], [4096, 0, 4096], [5000, 904, 5000], [-1, 4095, 16777215], [-2, 4094, 16777214]]) {
  const data = report(lost);
  const a = new packets.ReceiverReportPacket(new DataView(data.buffer, data.byteOffset, data.length)).getReports()[0].getTotalLost();
  const b = werift.RtcpPacketConverter.deSerialize(data)[0].reports[0].packetsLost;
  console.log(`seen: ${lost} lost: rtp.js ${a}, werift-rtp ${b}`);
  assert.deepStrictEqual([a, b], [one, two]);
}
const packet = new packets.ReceiverReportPacket(), block = new packets.ReceptionReport();
block.setTotalLost(-1);
packet.addReport(block);
packet.serialize();
const written = packet.getView().getUint32(12) & 0xffffff;
console.log(`seen: -1 lost: rtp.js writes 0x${written.toString(16)}`);
assert.strictEqual(written, 0x800001);
E
node run.mjs
