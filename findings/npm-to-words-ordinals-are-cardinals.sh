#!/usr/bin/env bash
# One expects toOrdinal(22) to be an ordinal: to-words documents it as "First,
# Second, Third", for all its locales, and in English it is "Twenty Second".
# In French, Italian and Dutch it is the cardinal from 21 on for all but whole
# tens and the like: "Vingt-Deux" for "vingt-deuxième", "Ventidue" for
# "ventiduesimo", "Tweeëntwintig" for "tweeëntwintigste". To 20 it is right, in
# Spanish and Italian as well, and n2words is right throughout.
# "You are the 22nd in the queue" becomes "you are 22", while tests with
# the first ten numbers pass.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts to-words@5.7.0 n2words@4.0.0 >/dev/null
cd "$T"
cat >ordinals.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import { createRequire } from 'module';
const { ToWords } = createRequire(import.meta.url)('to-words');
for (const p of ['to-words', 'n2words']) {
  console.log(p, JSON.parse(fs.readFileSync(`node_modules/${p}/package.json`)).version);
}
console.log('expected: an ordinal other than the cardinal, for each number');
for (const locale of ['fr-FR', 'it-IT', 'nl-NL', 'en-US', 'de-DE']) {
  const words = new ToWords({ localeCode: locale }), other = await import(`n2words/${locale}`);
  for (const [number, right] of [[2, true], [16, true], [22, false], [28, false], [100, true], [122, false]]) {
    const ordinal = words.toOrdinal(number), cardinal = words.convert(number);
    if (number === 22) console.log(`seen: ${locale}: the 22nd is "${ordinal}", 22 is "${cardinal}"; n2words: "${other.toOrdinal(22)}"`);
    assert.strictEqual(ordinal !== cardinal, right || locale === 'en-US' || locale === 'de-DE', `${locale} ${number}`);
    assert.notStrictEqual(other.toOrdinal(number), other.toCardinal(number));
  }
}
E
node ordinals.mjs
