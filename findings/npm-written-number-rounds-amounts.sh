#!/usr/bin/env bash
# One expects a package that speaks numbers to say 12.5 as "twelve point five", to cut the fraction off as others
# do, or to refuse it, and to say "minus three" for -3 or to refuse it, too: the README of written-number has
# no word on either.
# It rounds: 12.5 is "thirteen", 0.5 is "one", 99.99 is "one hundred", in each of its languages; of numbers below
# zero, even -3, it says nothing, and gives the empty text. The npm package numbered says all of them,
# number-to-words cuts the fraction off and says "minus three".
# A caller hears a price that is half a euro too high, and a balance that is overdrawn not at all, with no error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts written-number@0.11.1 numbered@1.1.0 number-to-words@1.2.4 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const written = require('written-number'), numbered = require('numbered'), { toWords } = require('number-to-words');
console.log('written-number', require('./node_modules/written-number/package.json').version);
console.log('expected: the number, or its whole part, or an error');
const told = { 12.4: 'twelve', 12.5: 'thirteen', 0.5: 'one', 99.99: 'one hundred', 1999.99: 'two thousand', '-3': '', '-12.5': '' };
for (const [n, words] of Object.entries(told)) {
  console.log(`seen: ${n}: written-number "${written(+n)}", numbered "${numbered.stringify(+n)}", number-to-words "${toWords(+n)}"`);
  assert.strictEqual(written(+n), words);
}
const [de, es] = ['de', 'es'].map(lang => [written(12.5, { lang }), written(13, { lang }), written(-3, { lang })]);
console.log(`seen: 12.5 and 13 in German: ${de[0]}, ${de[1]}; in Spanish: ${es[0]}, ${es[1]}`);
assert(de[0] === de[1] && es[0] === es[1] && de[2] === '' && es[2] === '');
assert.strictEqual(numbered.stringify(12.5), 'twelve point five');
assert.strictEqual(toWords(-3), 'minus three');
E
