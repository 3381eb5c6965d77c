#!/usr/bin/env bash
# An iPhone writes a number with a label of its own as "item1.TEL" and "item1.X-ABLabel:Front desk", and a company as
# X-ABShowAs:COMPANY. In a value a line's end is written "\n", and a comma or semicolon has a backslash (RFC 6350, 3.4).
# One expects a package that reads and writes vCards to write a card that it was given back with the same
# names, to give text as it is meant, and to escape text that it is given.
# vcf writes X-AB-LABEL and X-AB-SHOW-AS, which no address book knows. It gives text with its backslashes, as in the
# file, and writes text as it was given, so that a comma or semicolon splits it, and without its line ends: of "Press
# 1\n2 for sales" the reader gets "Press 12 for sales". A card that was only read and written is right but for the names.
# Labels are gone from a phone book that went through it, and instructions for callers run together.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts vcf@2.1.2 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
const VCard = require('vcf');
console.log('vcf', require('./node_modules/vcf/package.json').version);
const lines = ['BEGIN:VCARD', 'VERSION:3.0', 'N:Doe;Jane;;;', 'FN:Jane Doe', 'item1.TEL:+12025550111', 'item1.X-ABLabel:Front desk',
  'X-ABShowAs:COMPANY', 'NOTE:Press 1\\, then 2', 'END:VCARD'];
const card = new VCard().parse(lines.join('\r\n') + '\r\n');
const show = (what, expected, seen, known) => {
  console.log(`${what}: expected ${JSON.stringify(expected)}; seen ${JSON.stringify(seen)}`);
  assert.deepStrictEqual(seen, known);
};
show('read and written, other lines', [], card.toString('3.0').split(/\r?\n/).filter(l => l && !lines.includes(l)),
  ['item1.X-AB-LABEL:Front desk', 'X-AB-SHOW-AS:COMPANY']);
show('the note that was read', 'Press 1, then 2', card.get('note').valueOf(), 'Press 1\\, then 2');
const made = (name, value) => {
  const fresh = new VCard();
  fresh.set('fn', 'Jane Doe');
  fresh.set(name, value);
  return fresh.toString('4.0').split(/\r?\n/).find(l => l.startsWith(name.toUpperCase()));
};
show('a note of two lines', 'NOTE:Press 1\\n2 for sales', made('note', 'Press 1\n2 for sales'), 'NOTE:Press 12 for sales');
show('an organization', 'ORG:Smith\\; Sons\\, Ltd', made('org', 'Smith; Sons, Ltd'), 'ORG:Smith; Sons, Ltd');
E
