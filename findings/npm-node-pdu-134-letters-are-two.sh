#!/usr/bin/env bash
# An SMS holds 160 septets of the GSM alphabet (GSM 03.38), which has umlauts and Greek capitals of
# its own, and counts [ ] { } and others twice. One expects a package that builds SMS PDUs to send
# 160 letters as one message, and 100 of them with an "ü" too.
# node-pdu cuts at 133, the room that is left in a PART of a long message: 134 to 160 letters go as two.
# With any letter outside ASCII it takes UCS-2, and cuts at 63 in place of 70. Brackets it
# counts once there: 100 of them are one PDU that says it has 200 septets, more than 140 octets can hold.
# split-sms, which counts parts and builds none, has all of them right.
# A text of usual length costs twice as much, and a German one up to three times.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts node-pdu@2.1.1 split-sms@0.1.7 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { Submit } = require('node-pdu'), { split } = require('split-sms');
console.log('node-pdu', require('./node_modules/node-pdu/package.json').version);
const texts = {
  '133 letters': ['a'.repeat(133), 1, 1], '134 letters': ['a'.repeat(134), 1, 2], '160 letters': ['a'.repeat(160), 1, 2],
  '100 letters, one ü': ['ü' + 'a'.repeat(99), 1, 2], '160 letters, one ü': ['ü' + 'a'.repeat(159), 1, 3],
  '64 Cyrillic letters': ['я'.repeat(64), 1, 2], '100 brackets': ['['.repeat(100), 2, 1],
};
for (const [name, [text, right, known]] of Object.entries(texts)) {
  const pdus = new Submit('+15551234567', text).getPartStrings();
  console.log(`${name}: expected ${right} message(s), seen ${pdus.length}`);
  assert.deepStrictEqual([split(text).parts.length, pdus.length], [right, known]);
}
// No SMSC, first octet, reference, an address of eight octets, protocol, coding: the 14th octet is the length.
const length = parseInt(new Submit('+15551234567', '['.repeat(100)).getPartStrings()[0].slice(26, 28), 16);
console.log('100 brackets: expected at most 160 septets a message, seen', length);
assert.strictEqual(length, 200);
E
