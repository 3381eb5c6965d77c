#!/usr/bin/env bash
# A STUN server tells a client its public address as XOR-MAPPED-ADDRESS: an IPv6 address is XORed with
# the magic cookie and the transaction ID (RFC 8489, 14.2). One expects a STUN package to give the
# address that the server has written, as in the response with IPv6 in the test vectors of RFC 5769, 2.3.
# @msimerson/stun decodes the attributes before the message has its transaction ID, and XORs with the
# cookie alone: the first 4 of the 16 bytes are right, and the others still have the transaction ID
# in them. The same server seems to see another address at each request. IPv4 is right, so is what
# the package writes, and so is the package stun 2.1.0, from which it comes.
# A client offers its peer an address that nobody has, and the call over IPv6 is silent.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @msimerson/stun@3.2.1 stun@2.1.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
for (const name of ['@msimerson/stun', 'stun']) console.log(name, require(`./node_modules/${name}/package.json`).version);
const fork = require('@msimerson/stun'), stun = require('stun');
const seen = buffer => [fork, stun].map(s => s.decode(buffer).getXorAddress().address);
const tell = (of, expected, [one, two]) =>
  console.log(`${of}: expected ${expected}, seen @msimerson/stun ${one}, stun ${two}`);
// RFC 5769, 2.3.
const vector = Buffer.from('010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147'
  + '0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c', 'hex');
const right = '2001:db8:1234:5678:11:2233:4455:6677';
tell('RFC 5769', right, seen(vector));
assert.deepStrictEqual(seen(vector), ['2001:db8:a5d3:f179:bc25:f4b5:bed2:b9d9', right]);
for (const [address, transaction, wrong] of [
  ['2001:db8::1', '00112233445566778899aabb', '2001:db8:11:2233:4455:6677:8899:aaba'],
  ['2001:db8::1', 'ffeeddccbbaa998877665544', '2001:db8:ffee:ddcc:bbaa:9988:7766:5545'],
  ['192.0.2.1', '00112233445566778899aabb', '192.0.2.1']]) {
  const response = fork.createMessage(fork.constants.STUN_BINDING_RESPONSE, Buffer.from(transaction, 'hex'));
  response.addXorAddress(address, 5000);
  tell(`a request with ${transaction}`, address, seen(response.toBuffer()));
  assert.deepStrictEqual(seen(response.toBuffer()), [wrong, address]);
}
E
