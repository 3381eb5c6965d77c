#!/usr/bin/env bash
# A JavaScript number has no trailing zero: 12.50 is 12.5. One expects packages that speak
# amounts, and take numbers, to say fifty cents for both. amount-in-words (English) and
# tafgeetjs (Arabic) take the digits behind the point as they are: 12.5 is "five cents", as
# 12.05 is, and 12.345 is "three hundred forty five cents". tafgeetjs does so with the very
# example of its documentation, 556563.20, for which it promises "twenty" and says "two". As
# text, "12.50", both are right. Each tenth amount is heard too low, up to 81 cents, and a
# test with 12.34 or with text never shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts amount-in-words@1.0.1 tafgeetjs@2.1.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { AmountToWords, CountryCodes } = require('amount-in-words');
const Tafgeet = require('tafgeetjs');
for (const name of ['amount-in-words', 'tafgeetjs']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: fifty cents, and other words for 12.5 than for 12.05');
const english = n => new AmountToWords().toWords(n, CountryCodes.USA);
const arabic = n => new Tafgeet(n, 'SAR').parse();
for (const n of [12.5, 12.05, '12.50', 12.34]) console.log(`seen: ${typeof n} ${n}: ${english(n)}; ${arabic(n)}`);
assert.strictEqual(english(12.5), 'Twelve Dollars And Five Cents');
assert.strictEqual(english('12.50'), 'Twelve Dollars And Fifty Cents');
assert.strictEqual(english(12.5), english(12.05));
assert.strictEqual(arabic(12.5), arabic(12.05));
assert(arabic(12.5).includes('خمسة هللة') && arabic('12.50').includes('خمسون هللة'));
const example = new Tafgeet(556563.20, 'SDG').parse();
console.log(`seen: 556563.20: ${example}`);
assert(example.includes('ٱثنين قرش') && !example.includes('عشرون قرش'));
E
