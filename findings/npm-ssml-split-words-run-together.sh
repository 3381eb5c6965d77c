#!/usr/bin/env bash
# ssml-split cuts long SSML into parts that Amazon Polly and Google take. In SSML a line break is white space
# and parts words (XML 1.0, 2.10), and the language of all text is xml:lang of <speak>, which SSML 1.1, 3.1.1,
# requires. One expects each part to say the words of the whole, in its language; the README says that new lines
# and white space are removed, "resulting in less characters used".
# It takes a line break out and puts no space in its place: "please\nhold" becomes "pleasehold", and is read as
# one word. It writes "<speak>" without attributes before each part, so that German is read as English by a voice
# that goes by xml:lang. polly-ssml-split, which it is based on, has a space for the line break
# (and loses the language too). Text in one line is right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ssml-split@0.5.0 polly-ssml-split@0.1.0 >/dev/null
cd "$T"
cat >run.cjs <<'E'
const assert = require('assert');
const SSMLSplit = require('ssml-split').default;
const polly = require('polly-ssml-split');
for (const name of ['ssml-split', 'polly-ssml-split']) console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('expected: the words apart, and the language with each part');
const text = 'Bitte warten\nSie, Sie werden\ngleich verbunden. Vielen Dank,\nauf Wiederhören.';
const words = text.split(/\s+/);
const limits = { softLimit: 20, hardLimit: 60 };
polly.configure(limits);
const seen = (name, split, ssml) => {
  const parts = split(ssml);
  console.log(`seen: ${name}: ${JSON.stringify(parts)}`);
  return [parts.map(part => part.replace(/<[^>]*>/g, '')).join(' ').trim().split(/\s+/), parts.every(part => part.includes('de-DE'))];
};
const ssml = inner => `<speak version="1.1" xml:lang="de-DE">${inner}</speak>`;
const split = s => new SSMLSplit(limits).split(s);
const [lines, language] = seen('ssml-split, lines', split, ssml(text));
assert.deepStrictEqual(lines, 'Bitte wartenSie, Sie werdengleich verbunden. Vielen Dank,auf Wiederhören.'.split(' '));
assert(!language);
assert.deepStrictEqual(seen('ssml-split, one line', split, ssml(words.join(' ')))[0], words);
const [others, same] = seen('polly-ssml-split, lines', s => polly.split(s), ssml(text));
assert.deepStrictEqual(others, words);
assert(!same);
E
node run.cjs
