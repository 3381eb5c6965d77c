#!/usr/bin/env bash
# One UDP datagram of RTCP holds several packets, each with its length in its header, and
# RFC 3550, 6.1, has an SDES in each of them. One expects an SDES with one chunk (its count
# says 1) to give one chunk, whatever packet comes after it. werift-rtp goes by neither the
# count nor the length of the SDES, and reads to the end of the datagram: the header of the
# BYE or PLI behind it is the SSRC of a source that does not exist (2177564673 is
# 0x81CB0001), and there may be more of them. With the SDES last it is right. The BYE itself
# is not told of. rtp.js has both right. Who keeps a list of speakers, or of streams, by
# SDES gets phantoms in it at the end of each call, and with each picture that a peer asks
# for.
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
console.log('expected: source 1 alone');
const sdes = Buffer.from('81ca0003' + '00000001' + '0105' + Buffer.from('a@b.c').toString('hex') + '00', 'hex');
const report = Buffer.from('80c90001' + '00000001', 'hex');
for (const [what, next, told] of [['nothing', '', [1]], ['BYE', '81cb0001' + '00000001', [1, 0x81cb0001]],
  ['PLI', '81ce0002' + '00000001' + '00000002', [1, 0x81ce0002, 2]]]) {
  const data = Buffer.concat([report, sdes, Buffer.from(next, 'hex')]);
  const got = werift.RtcpPacketConverter.deSerialize(data);
  const sources = got.find(p => p.type === 202).chunks.map(c => c.source);
  const other = new packets.CompoundPacket(new DataView(data.buffer, data.byteOffset, data.length)).dump().packets;
  const right = other.find(p => p.packetType === 202).chunks.map(c => c.ssrc);
  console.log(`seen: ${what} behind SDES: werift-rtp ${sources.join(', ')}; rtp.js ${right.join(', ')},`,
    `packet types ${other.map(p => p.packetType).join(', ')}`);
  assert.deepStrictEqual(sources, told);
  assert.deepStrictEqual(right, [1]);
  if (what === 'BYE') assert(!got.some(p => p.type === 203) && other.some(p => p.packetType === 203));
}
E
node run.mjs
