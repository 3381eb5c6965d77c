#!/usr/bin/env bash
# A contact has more than one phone number, and a note or an address on the web has colons in it. One expects
# a package that "parses vCard data into nice JSON" to give all numbers, in whatever form, and whole values.
# The npm package vcard gives one TEL, the first in the card, and drops the others. Of a value it gives what is
# before its next colon: "NOTE:Call after 10:30" is "Call after 10", and the URL is "https".
# A dialler that imports contacts knows the landline and not the mobile number, and says nothing of it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts vcard@0.1.0 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
console.log('vcard', require('./node_modules/vcard/package.json').version);
console.info = () => {};  // The package prints each card.
const parse = (...lines) => {
  let seen;
  new (require('vcard'))().readData(['BEGIN:VCARD', 'VERSION:3.0', 'N:Doe;Jane;;;', 'FN:Jane Doe', ...lines, 'END:VCARD', ''].join('\r\n'),
    (error, json) => { assert.ifError(error); seen = json; });
  return seen;
};
const office = 'TEL;TYPE=work:+12025550100', mobile = 'TEL;TYPE=cell:+12025550199', plain = 'TEL:+12025550111';
for (const lines of [[office, mobile], [mobile, office], [plain, office, mobile]]) {
  const { TEL } = parse(...lines), number = TEL.value || TEL;
  console.log(`expected: ${lines.length} numbers; seen: ${number}`);
  assert(!Array.isArray(TEL));
  assert.strictEqual(number, lines[0].split(':')[1]);
}
for (const [line, seen] of [['NOTE:Call after 10:30', 'Call after 10'], ['URL:https://example.com/jane', 'https']]) {
  const [name, ...value] = line.split(':');
  console.log(`expected: ${value.join(':')}; seen: ${parse(line)[name]}`);
  assert.strictEqual(parse(line)[name], seen);
}
E
