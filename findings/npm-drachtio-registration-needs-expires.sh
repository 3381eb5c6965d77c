#!/usr/bin/env bash
# A REGISTER without expires= and without Expires: leaves the time to the registrar (RFC 3261, 10.2.1.1). One
# without Contact: asks which addresses are registered (10.2.3), and gets 200 with the list. Each address may
# have its own expires=, and 0 takes only that one away (10.2.2). One expects a registrar's helper to read it all.
# drachtio-mw-registration-parser answers the first two with 400 itself: the registrar behind it never sees
# them. It gives one type and one time for all addresses, those of the first: an address that goes before one that
# comes makes an "unregister" with expires 0, and in the other order both are in a "register" for 600 s.
# Telephones that leave the time to the server cannot register, and a client that asks for its addresses hears
# that it is wrong. A softphone that changes its network in one request is off where the type decides, and does
# not ring.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts drachtio-mw-registration-parser@0.1.2 \
  drachtio-sip@0.6.3 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const parser = require('drachtio-mw-registration-parser'), { SipMessage } = require('drachtio-sip');
for (const name of ['drachtio-mw-registration-parser', 'drachtio-sip'])
  console.log(name, require(`./node_modules/${name}/package.json`).version);
function register(...lines) {
  const req = new SipMessage(['REGISTER sip:example.com SIP/2.0', 'Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK7',
    'To: <sip:200@example.com>', 'From: <sip:200@example.com>;tag=1', 'Call-ID: 1', 'CSeq: 1 REGISTER',
    'Max-Forwards: 70', ...lines, 'Content-Length: 0', '', ''].join('\r\n'));
  let seen;
  parser(req, { send: status => { seen = `answer ${status}`; } },
    () => { seen = `${req.registration.type} ${req.registration.expires}`; });
  return seen;
}
const old = '<sip:200@192.0.2.7>', now = '<sip:200@198.51.100.8>';
for (const [lines, right, told] of [
  [[`Contact: ${now};expires=600`], 'register 600', 'register 600'],
  [[`Contact: ${now}`, 'Expires: 60'], 'register 60', 'register 60'],
  [[`Contact: ${now}`], 'register, with a time of the registrar', 'answer 400'],
  [[], 'a question for the list', 'answer 400'],
  [[`Contact: ${old};expires=0, ${now};expires=600`], 'register of the new one', 'unregister 0'],
  [[`Contact: ${now};expires=600, ${old};expires=0`], 'register of the new one', 'register 600'],
]) {
  const seen = register(...lines);
  console.log(`${lines.join(', ') || 'no Contact'}: expected ${right}; seen ${seen}`);
  assert.strictEqual(seen, told);
}
E
