#!/usr/bin/env bash
# One expects number words in Ukrainian to be in Cyrillic letters: the language
# has its own "i", U+0456.
# n2words and rosaenlg-n2words, its copy, write the LATIN "i", U+0069, in 7, 8,
# 16 to 18, 60 to 89, 200, 2000 and a million; on a screen it looks the same.
# to-words writes the Cyrillic letter.
# A TTS engine finds no such word in its lexicon, and may spell it or change to
# another language within it; a search for "вісім" in a transcript finds nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts n2words@4.0.0 rosaenlg-n2words@3.3.0 to-words@5.7.0 >/dev/null
cd "$T"
cat >numbers.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import { createRequire } from 'module';
import { toCardinal, toOrdinal } from 'n2words/uk-UA';
const require = createRequire(import.meta.url);
const rosaenlg = require('rosaenlg-n2words');
const { ToWords } = require('to-words');
for (const p of ['n2words', 'rosaenlg-n2words', 'to-words']) {
  console.log(p, JSON.parse(fs.readFileSync(`node_modules/${p}/package.json`)).version);
}
console.log('expected: no Latin letter in a Ukrainian word');
const other = new ToWords({ localeCode: 'uk-UA' });
const say = rosaenlg.default ?? rosaenlg.n2words ?? rosaenlg;
const latin = words => (words.match(/[A-Za-z]/g) ?? []).join('');
for (const [number, letters] of [[5, ''], [7, 'i'], [8, 'ii'], [16, 'i'], [70, 'i'], [200, 'ii'], [2000, 'ii']]) {
  const words = toCardinal(number);
  console.log(`seen: ${number}: n2words "${words}", Latin in it: "${latin(words)}"; to-words: "${latin(other.convert(number))}"`);
  assert.strictEqual(latin(words), letters);
  assert.strictEqual(latin(say(number, { lang: 'uk' })), letters);
  assert.strictEqual(latin(other.convert(number)), '');
}
console.log(`seen: 16th: n2words "${toOrdinal(16)}", Latin in it: "${latin(toOrdinal(16))}"`);
assert.strictEqual(latin(toOrdinal(16)), 'i');
E
node numbers.mjs
