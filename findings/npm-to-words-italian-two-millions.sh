#!/usr/bin/env bash
# One expects 2 000 000 in Italian to be "due milioni", as 3 000 000 is "tre
# milioni".
# to-words leaves the "two" out before "milioni" and "miliardi": 2 000 000 is
# "Milioni" (millions), 2 500 000 euro are "Milioni Cinque Cento Mila Euro".
# 1, 3 and 22 millions are right, and so are 2 millions in Spanish.
# A caller hears no amount at all, or takes 2 500 000 for 500 000, and of all
# figures only the two shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts to-words@5.7.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { ToWords } = require('to-words');
console.log('to-words', JSON.parse(require('fs').readFileSync('node_modules/to-words/package.json')).version);
console.log('expected: Due Milioni, Due Milioni Cinque Cento Mila, Due Miliardi');
const italian = new ToWords({ localeCode: 'it-IT' }), spanish = new ToWords({ localeCode: 'es-ES' });
for (const [number, words] of [[1e6, 'Un Milione'], [2e6, 'Milioni'], [3e6, 'Tre Milioni'], [22e6, 'Ventidue Milioni'],
  [2500000, 'Milioni Cinque Cento Mila'], [2e9, 'Miliardi']]) {
  console.log(`seen: ${number}: ${italian.convert(number)}`);
  assert.strictEqual(italian.convert(number), words);
}
const amount = italian.convert(2500000, { currency: true });
console.log(`seen: 2500000 euro: ${amount}`);
assert.strictEqual(amount, 'Milioni Cinque Cento Mila Euro');
assert.strictEqual(spanish.convert(2e6), 'Dos Millones');
E
