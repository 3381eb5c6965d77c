#!/usr/bin/env bash
# SIP writes an IPv6 address in brackets: "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1" (RFC 3261, 25.1), and
# without them in received=2001:db8::1. One expects SIP libraries that read IPv4 there to read it, or to refuse it.
# sip and drachtio-sip stop at the first colon, without an error: the host is "[2001", port and branch are gone, and so
# is all behind received. drachtio-sip does not see the header lines that follow, either. What sip
# writes again is "Via: SIP/2.0/UDP [2001". sip knows no URI with IPv6 at all; drachtio-sip does.
# The branch tells to which request an answer belongs: over IPv6 no answer is found to belong to any, and one
# that is passed on goes nowhere. With IPv4 and names all is well.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts sip@0.0.6 drachtio-sip@0.6.3 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const sip = require('sip'), drachtio = require('drachtio-sip');
for (const name of ['sip', 'drachtio-sip']) console.log(name, require(`./node_modules/${name}/package.json`).version);
const plain = via => via && [via.host, via.port, via.params.branch, via.params.received];
function read(first) {
  const text = `OPTIONS sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP ${first}\r\nVia: SIP/2.0/UDP z.example;branch=z9hG4bK9\r\n\r\n`;
  const one = sip.parse(text), two = new drachtio.SipMessage(text).getParsedHeader('via');
  return [one.headers.via.map(plain), two.map(plain), sip.stringify(one).split('\r\n')[1]];
}
const last = ['z.example', undefined, 'z9hG4bK9', undefined], none = undefined;
for (const [first, right, told, others] of [
  ['192.0.2.1:5060;branch=z9hG4bK1', ['192.0.2.1', 5060, 'z9hG4bK1', none], ['192.0.2.1', 5060, 'z9hG4bK1', none], 1],
  ['[2001:db8::1]:5060;branch=z9hG4bK1', ['[2001:db8::1]', 5060, 'z9hG4bK1', none], ['[2001', none, none, none], 0],
  ['a.example;received=2001:db8::1;branch=z9hG4bK1', ['a.example', none, 'z9hG4bK1', '2001:db8::1'], ['a.example', none, none, '2001'], 0],
]) {
  const [one, two, again] = read(first);
  console.log(`expected: ${right.filter(Boolean).join(' ')}, and ${last.filter(Boolean).join(' ')}`);
  console.log(`seen: sip ${one.map(v => v.filter(Boolean).join(' ')).join(', ')} ("${again}");`,
    `drachtio-sip ${two.map(v => v.filter(Boolean).join(' ')).join(', ')}`);
  assert.deepStrictEqual(one, [told, last]);
  assert.deepStrictEqual(two, [told, last].slice(0, 1 + others));
}
const uri = 'sip:bob@[2001:db8::1]:5060';
console.log(`seen: ${uri}: sip ${sip.parseUri(uri)}, drachtio-sip host ${drachtio.parser.parseUri(uri).host}`);
assert.strictEqual(sip.parseUri(uri), undefined);
assert.strictEqual(drachtio.parser.parseUri(uri).host, '[2001:db8::1]');
E
