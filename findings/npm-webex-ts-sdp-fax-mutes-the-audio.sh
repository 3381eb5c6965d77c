#!/usr/bin/env bash
# A call that has been a fax, or offers real-time text, has a second medium in its SDP, mostly rejected: "m=image
# 0 udptl t38" or "m=text 0 RTP/AVP 98". What stands below an m= line belongs to that medium only (RFC 8866, 5).
# One expects a parser that does not know image or text to keep their lines as they are.
# @webex/ts-sdp knows audio, video and application. It takes any other m= line, and also one with a
# number of ports ("10000/2"), for a stray line of the medium before it, and then gives that medium the
# address, the bandwidth and the direction below: the audio is to be sent to the address of the fax, and is
# inactive. Where the unknown medium is the first, the whole session gets its address. There is no error.
# The call has no sound, or one side's goes to another host.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @webex/ts-sdp@1.7.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { parse } = require('@webex/ts-sdp');
console.log('@webex/ts-sdp', require('./node_modules/@webex/ts-sdp/package.json').version);
const session = ['v=0', 'o=- 1 2 IN IP4 192.0.2.1', 's=-', 't=0 0'];
const audio = ['m=audio 10000 RTP/AVP 0', 'c=IN IP4 192.0.2.11', 'b=AS:64', 'a=rtpmap:0 PCMU/8000', 'a=sendrecv'];
const other = line => [line, 'c=IN IP4 192.0.2.22', 'b=AS:2000', 'a=inactive'];
for (const [line, address, direction] of [
  ['m=image 0 udptl t38', '192.0.2.22', 'inactive'], ['m=text 0 RTP/AVP 98', '192.0.2.22', 'inactive'],
  ['m=message 0 TCP/MSRP *', '192.0.2.22', 'inactive'], ['m=video 0/2 RTP/AVP 96', '192.0.2.22', 'inactive'],
  ['m=video 0 RTP/AVP 96', '192.0.2.11', 'sendrecv']]) {
  const sdp = parse([...session, ...audio, ...other(line), ''].join('\r\n'));
  const { connection, bandwidth, direction: seen } = sdp.avMedia[0];
  console.log(`audio before ${line}: expected 192.0.2.11 AS:64 sendrecv, seen ${connection.ipAddr} AS:${bandwidth.bandwidth} ${seen}`);
  assert.deepStrictEqual([connection.ipAddr, seen], [address, direction]);
  assert.strictEqual(sdp.toString().includes('192.0.2.11'), address === '192.0.2.11');
}
const first = parse([...session, ...other('m=image 0 udptl t38'), ...audio, ''].join('\r\n')).session.connection;
console.log(`session with the fax first: expected no address, seen ${first && first.ipAddr}`);
assert.strictEqual(first.ipAddr, '192.0.2.22');
E
