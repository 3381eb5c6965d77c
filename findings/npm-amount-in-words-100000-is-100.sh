#!/usr/bin/env bash
# One expects 100000 dollars to be "One Hundred Thousand Dollars". amount-in-words says "One
# Hundred Dollars" in its system for the USA and the UK: it leaves the "thousand" out
# wherever the thousands are whole hundreds, and "million" likewise: 2 500 000 is "Two
# Million Five Hundred", 100 million are "One Hundred". 99 000, 110 000 and 123 456 are
# right, and so is its Indian system ("One Lakh"). A caller hears a sum that is a thousand
# times, or a million times, too small, for just the round sums that limits and offers have.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts amount-in-words@1.0.1 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { AmountToWords, CountryCodes } = require('amount-in-words');
console.log('amount-in-words', require('./node_modules/amount-in-words/package.json').version);
console.log('expected: one hundred thousand, two million five hundred thousand, ...');
for (const [n, told] of [[99000, 'Ninety Nine Thousand'], [100000, 'One Hundred'], [100500, 'One Hundred Five Hundred'],
  [110000, 'One Hundred Ten Thousand'], [900000, 'Nine Hundred'], [2500000, 'Two Million Five Hundred'], [100000000, 'One Hundred']]) {
  const said = ['USA', 'GBR'].map(country => new AmountToWords().toWords(n, CountryCodes[country]));
  console.log(`seen: ${n}: ${said.join('; ')}`);
  assert.deepStrictEqual(said, [`${told} Dollars`, `${told} Pounds`]);
}
const lakh = new AmountToWords().toWords(100000, CountryCodes.IND);
console.log(`seen: 100000 in India: ${lakh}`);
assert.strictEqual(lakh, 'One Lakh Rupees');
E
