#!/usr/bin/env bash
# A number that begins with "+" has its country code with it. One expects a parser of phone
# numbers to keep it, or to say that it does not know the number (valid false).
# phoneparser drops the "+", tries its countries one by one, and takes the first whose mobile
# numbers look like the WHOLE number: it puts that country's code before it, and says valid and
# mobile. An Australian mobile number becomes a Brazilian one (+61 412 ... is +55 61 412 ...), so does
# an Austrian one, and an American toll-free number a Chinese one (+86 1800 ...).
# British, German and most American numbers stay as they are, so that a test with those never
# shows it. The call or the message with a code goes abroad.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts phoneparser@3.0.2 libphonenumber-js@1.13.16 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { parse } = require('phoneparser'), { parsePhoneNumber } = require('libphonenumber-js/max');
console.log('phoneparser', require('./node_modules/phoneparser/package.json').version);
// Not anybody's numbers: the examples in libphonenumber's data.
const numbers = ['+61412345678', '+43664123456', '+18002123456', '+4915123456789', '+447400123456'];
const seen = numbers.map(number => {
  const right = parsePhoneNumber(number), { valid, normalized, country, info } = parse(number);
  assert(right.isValid());
  console.log(`expected ${number} ${right.country || ''}; seen ${normalized} ${country.iso3166.alpha2} valid ${valid}`);
  return [normalized, country.iso3166.alpha2, valid, info.type];
});
assert.deepStrictEqual(seen, [
  ['+5561412345678', 'BR', true, 'mobile'], ['+5543664123456', 'BR', true, 'mobile'], ['+8618002123456', 'CN', true, 'mobile'],
  ['+4915123456789', 'DE', true, 'mobile'], ['+447400123456', 'GB', true, 'mobile'],
]);
E
