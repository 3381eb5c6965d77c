#!/usr/bin/env bash
# An amount or a measure has decimals: 1.5, or 12.34. One expects a package that turns numbers into words to say "one
# point five", or to refuse what it cannot say.
# number-to-text takes the point for one more digit of the group before it, and says another number in all its
# languages but French: 1.5 is "One Hundred And Five", in German einhundertfünf, and 12.34 is "Twelve Thousand, Thirty
# Four". number2text reads what is behind the point as a number of hundredths: 1.05 is "One Point Five", and 1.5 is "One
# Point Fifty". Whole numbers are right in both.
# A caller hears that the bill is a hundred or a thousand times as high, or that 1.05 % are 1.5 %.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts number-to-text@0.4.1 number2text@1.1.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const converter = require('number-to-text'), number2text = require('number2text');
for (const name of ['number-to-text', 'number2text']) console.log(name, require(`./node_modules/${name}/package.json`).version);
for (const language of ['en-us', 'en-in', 'de', 'fr', 'tr', 'id']) require(`number-to-text/converters/${language}`);
const show = (what, expected, seen, known) => {
  console.log(`${what}: expected ${expected}; seen ${seen}`);
  assert.strictEqual(seen, known);
};
const say = (number, language = 'en-us') => converter.convertToText(number, { language });
show('105', 'One Hundred And Five', say(105), 'One Hundred And Five');
show('1.5', 'One Point Five', say(1.5), 'One Hundred And Five');
show('12.34', 'Twelve Point Three Four', say(12.34), 'Twelve Thousand, Thirty Four');
show('1234.50', 'One Thousand, Two Hundred And Thirty Four Point Five Zero', say('1234.50'),
  'One Million, Two Hundred And Thirty Four Thousand, Fifty');
show('0.5', 'Zero Point Five', say(0.5), 'Five');
show('German 1.5', 'eins Komma fünf', say(1.5, 'de'), 'einhundertfünf');
show('Turkish 1.5', 'Bir virgül beş', say(1.5, 'tr'), 'Yüz Beş');
show('Indonesian 1.5', 'Satu koma lima', say(1.5, 'id'), 'Seratus Lima');
show('French 1.5', 'Un Virgule Cinq', say(1.5, 'fr'), 'Un Virgule Cinq');
show('number2text 1.05', 'One Point Zero Five', number2text(1.05), 'One Point Five');
show('number2text 1.5', 'One Point Five', number2text(1.5), 'One Point Fifty');
show('number2text 10.01', 'Ten Point Zero One', number2text(10.01), 'Ten Point One');
E
