#!/usr/bin/env bash
# One expects a package that speaks numbers to say "zero" for 0 and "minus three" for -3: the
# documentation of decimal-number-to-words has just this example. It gives an empty text for
# 0 and for all numbers below 0, with a fraction or without, and no error; from 0.5 upwards
# it is right. number-to-words, which it was made from, has both right, and cuts fractions off
# instead. A caller hears "you have new messages" where there are none, and a balance that is
# overdrawn, or a temperature below zero, not at all.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts decimal-number-to-words@1.3.3 number-to-words@1.2.4 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const decimal = require('decimal-number-to-words'), whole = require('number-to-words');
for (const name of ['decimal-number-to-words', 'number-to-words']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: zero, minus three, minus twelve point five');
for (const [n, told, other] of [[0, '', 'zero'], [-3, '', 'minus three'], [-12.5, '', 'minus twelve'],
  [0.5, 'zero point five', 'zero'], [3, 'three', 'three'], [12.5, 'twelve point five', 'twelve']]) {
  console.log(`seen: ${n}: decimal-number-to-words "${decimal.toWords(n)}", number-to-words "${whole.toWords(n)}"`);
  assert.deepStrictEqual([decimal.toWords(n), whole.toWords(n)], [told, other]);
}
E
