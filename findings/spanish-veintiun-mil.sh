#!/usr/bin/env bash
# Spanish shortens "uno" before a noun and before "mil": 21 000 is "veintiún
# mil", 31 000 "treinta y un mil" (RAE, Diccionario panhispánico de dudas, "uno"
# and "cardinales"). One expects packages that speak numbers to say so, and those
# that read numbers in transcripts to understand it.
# num2words, and on npm n2words, written-number and to-words, say "veintiuno
# mil"; num2words has the right form for currencies only, and to-words for 31 000.
# text2num turns "veintiuno mil" into 21000, and what people say into "veintiún
# 1000". A round trip through num2words and text2num passes: both err alike.
# So an amount that a caller says is 1000 in place of 21000.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14 text2num==3.1.0
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts n2words@4.0.0 written-number@0.11.1 to-words@5.7.0 >/dev/null
cd "$T"
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num2words import num2words
from text_to_num import alpha2digit
print("num2words", version("num2words"), "text2num", version("text2num"))
print("expected: veintiún mil, and 21000 where it is heard")
said, euros = num2words(21000, lang="es"), num2words(21000.0, lang="es", to="currency", currency="EUR")
print(f"seen: num2words: 21000 is \"{said}\", 21000 euro \"{euros}\"")
assert said == "veintiuno mil" and euros.startswith("veintiún mil euros")
for words, digits in (("veintiún mil", "veintiún 1000"), ("veintiuno mil", "21000"), ("veintidós mil", "22000"),
                      ("treinta y un mil", "31000")):
    heard = alpha2digit(words, "es")
    print(f"seen: text2num: \"{words}\" is \"{heard}\"")
    assert heard == digits
E
cat >numbers.mjs <<'E'
import assert from 'assert';
import fs from 'fs';
import { createRequire } from 'module';
import { toCardinal } from 'n2words/es-ES';
const require = createRequire(import.meta.url);
const written = require('written-number'), { ToWords } = require('to-words');
for (const p of ['n2words', 'written-number', 'to-words']) {
  console.log(p, JSON.parse(fs.readFileSync(`node_modules/${p}/package.json`)).version);
}
const words = new ToWords({ localeCode: 'es-ES' });
for (const [name, say, more] of [['n2words', toCardinal, 'treinta y uno mil'],
  ['written-number', n => written(n, { lang: 'es' }), 'treinta y uno mil'],
  ['to-words', n => words.convert(n).toLowerCase(), 'treinta y un mil']]) {
  console.log(`seen: ${name}: "${say(21000)}", "${say(31000)}"`);
  assert.strictEqual(say(21000), 'veintiuno mil');
  assert.strictEqual(say(31000), more);
}
E
node numbers.mjs
