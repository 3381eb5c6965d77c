#!/usr/bin/env bash
# A caller says "two hundred fifty thousand". One expects a package that turns words in a transcript into figures
# to give 250000: words-to-numbers has "twenty thousand five hundred and sixty nine" among its examples, and says
# of no number that it is too big.
# It gives 50200. Of the words before "thousand" or "million" only the last is multiplied, and the others are
# added as they are: 35 000 is 5030, 120 000 is 20 100, 205 million are 5 000 200. Where one word stands
# there, or whole hundreds, it is right, so that 20 000, 300 000 and all below 21 000 never show it. The npm
# package numbered has them right.
# Of the numbers from 21 000 to a million nearly all are wrong, and look like numbers that a person could have said.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts words-to-numbers@1.5.1 numbered@1.1.0 number-to-words@1.2.4 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const { wordsToNumbers } = require('words-to-numbers'), numbered = require('numbered'), { toWords } = require('number-to-words');
for (const name of ['words-to-numbers', 'numbered']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: the number that was said');
for (const [words, right, told] of [['two hundred fifty thousand', 250000, 50200], ['two hundred and fifty thousand', 250000, 50200],
  ['one hundred twenty thousand', 120000, 20100], ['two hundred five million', 205000000, 5000200],
  ['one hundred twenty three thousand four hundred fifty six', 123456, 3576],
  ['thirty five thousand', 35000, 5030], ['three hundred thousand', 300000, 300000], ['one million two hundred thousand', 1200000, 1200000],
  ['twelve thousand five hundred', 12500, 12500]]) {
  console.log(`seen: ${words}: words-to-numbers ${wordsToNumbers(words)}, numbered ${numbered.parse(words)}`);
  assert.deepStrictEqual([numbered.parse(words), wordsToNumbers(words)], [right, told]);
}
let wrong = 0, all = 0;
for (let n = 100; n < 1000000; n += 997) {
  const said = toWords(n).replace(/[,-]+/g, ' ').replace(/ +/g, ' ');
  assert.strictEqual(numbered.parse(said), n);
  if (n > 21000) { all += 1; wrong += wordsToNumbers(said) !== n; } else assert.strictEqual(wordsToNumbers(said), n);
}
console.log(`seen: ${wrong} of ${all} numbers between 21 000 and a million are wrong`);
assert(wrong > 0.9 * all);
E
