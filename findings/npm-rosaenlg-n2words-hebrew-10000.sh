#!/usr/bin/env bash
# One expects a package that turns numbers into words to say the number, or to
# refuse one that is too big; its documentation has Hebrew among its languages, with no limit.
# rosaenlg-n2words forgets all but the lowest digit of the thousands in Hebrew,
# from 10 000 on, and what is above them: 21000, 31000 and 1000000 are all
# "a thousand", 123456 is "three thousand four hundred and fifty-six", and 20000 and
# 100000 are the empty text. n2words, of which it is a copy, is right.
# A caller hears a balance that is wrong by a factor of a thousand, or none.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts rosaenlg-n2words@3.3.0 n2words@4.0.0 >/dev/null
cd "$T"
cat >numbers.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import { createRequire } from 'module';
import { toCardinal } from 'n2words/he-IL';
const rosaenlg = createRequire(import.meta.url)('rosaenlg-n2words');
for (const p of ['rosaenlg-n2words', 'n2words']) {
  console.log(p, JSON.parse(fs.readFileSync(`node_modules/${p}/package.json`)).version);
}
console.log('expected: another text for each number, and none for no number');
const n2words = rosaenlg.default ?? rosaenlg.n2words ?? rosaenlg;
const say = number => n2words(number, { lang: 'he' });
for (const [number, same] of [[5000, 5000], [21000, 1000], [31000, 1000], [1000000, 1000], [2000000, 2000],
  [123456, 3456], [20000, null], [100000, null]]) {
  const words = say(number);
  console.log(`seen: ${number} is "${words}", as ${same ?? 'nothing'} is; n2words: "${toCardinal(number)}"`);
  assert.strictEqual(words, same === null ? '' : say(same));
  assert.strictEqual(toCardinal(number) === toCardinal(same ?? 0), number === same);
}
E
node numbers.mjs
