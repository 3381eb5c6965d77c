#!/usr/bin/env bash
# One expects a package that brings phone numbers to E.164 to leave a number as it is that
# already is in E.164, or to say that it does not know it (isValid false). The npm package
# phone takes the first digit behind the country code for a trunk prefix where its own table
# has no mobile number that begins so, drops it, and says isValid (with strictDetection, off
# by default, it refuses the number). Argentina's mobile numbers begin with 9 (+54 9 11
# ...): without it the number is a landline. In Gabon and on Norfolk Island, too, what is
# left is a number of another subscriber, by libphonenumber's data. With the number as one
# dials it in Argentina (011 15-...) the "15" stays in the middle of it. The call, or the
# text message with a code, goes to somebody else, and nothing fails.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts phone@3.1.72 libphonenumber-js@1.13.16 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { phone } = require('phone');
const { parsePhoneNumberFromString: parse } = require('libphonenumber-js/max');
for (const name of ['phone', 'libphonenumber-js']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: the same number, or isValid false');
const kind = text => { const n = parse(text); return n && n.isValid() ? `${n.country} ${n.getType() || ''}`.trim() : 'no number'; };
for (const [number, told] of [['+5491123456789', '+541123456789'], ['+24106031234', '+2416031234'], ['+672381234', '+67281234']]) {
  const got = phone(number);
  console.log(`seen: ${number} (${kind(number)}) -> ${got.phoneNumber} (${kind(got.phoneNumber)}), isValid ${got.isValid}`);
  assert.strictEqual(kind(number).split(' ')[1], 'MOBILE');
  assert.deepStrictEqual([got.phoneNumber, got.isValid], [told, true]);
  assert(parse(got.phoneNumber).isValid());
}
assert.strictEqual(parse('+541123456789').getType(), 'FIXED_LINE');
const dialled = '011 15-2345-6789', right = parse(dialled, 'AR').number, got = phone(dialled, { country: 'AR' });
console.log(`seen: ${dialled} in Argentina: libphonenumber-js ${right}, phone ${got.phoneNumber}, isValid ${got.isValid}`);
assert.deepStrictEqual([right, got.phoneNumber, got.isValid], ['+5491123456789', '+54111523456789', true]);
assert.strictEqual(phone('+5491123456789', { strictDetection: true }).isValid, false);
for (const n of ['+12025550123', '+447700900123', '+79123456789']) assert.strictEqual(phone(n).phoneNumber, n);
console.log('seen: numbers of the USA, the UK and Russia are right');
E
