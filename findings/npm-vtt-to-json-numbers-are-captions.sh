#!/usr/bin/env bash
# WebVTT allows a line above a cue's times that names the cue, mostly a number (W3C WebVTT, 4.1). Cues end
# at an empty line, and two may have the same text. One expects a reader to give each cue's text, and no more.
# vtt-to-json and vtt-2-json look at lines only: from the second cue on, the number of the next cue is the last
# line of this one's text. Without numbers, a cue with the words of the one before has none: of two who say "Yes."
# one is silent.
# vtt-to-json gives no last cue where a line end follows it, as writers leave it. vtt-2-json gives that.
# Who reads out such captions, or searches them, has "Press 1. 3"; who makes minutes of a meeting lacks a
# vote and the last words. A file without numbers, repetitions and a line end at its end looks right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts vtt-to-json@0.1.1 vtt-2-json@1.1.4 \
  vtt-creator@1.1.1 >/dev/null
cd "$T"
node - <<'E'
const assert = require('assert');
for (const name of ['vtt-to-json', 'vtt-2-json', 'vtt-creator'])
  console.log(name, require(`./node_modules/${name}/package.json`).version);
const one = require('vtt-to-json'), two = require('vtt-2-json'), Creator = require('vtt-creator');
const said = ['Welcome.', 'Press 1.', 'Yes.', 'Yes.', 'Goodbye.'];
const creator = new Creator();
said.forEach((text, i) => creator.add(2 * i, 2 * i + 1, text));
const numbered = creator.toString().replace(/\r/g, '');
const plain = numbered.replace(/\n\d+\n/g, '\n');
(async () => {
  for (const [what, text, toldOne, toldTwo] of [
    ['with numbers', numbered, ['Welcome.', 'Press 1. 3', 'Yes. 4', 'Yes. 5'],
      ['Welcome.', 'Press 1. 3', 'Yes. 4', 'Yes. 5', 'Goodbye.']],
    ['without', plain, ['Welcome.', 'Press 1.', 'Yes.', ''],
      ['Welcome.', 'Press 1.', 'Yes.', '', 'Goodbye.']],
    ['without, nor the last line end', plain.trimEnd(), ['Welcome.', 'Press 1.', 'Yes.', '', 'Goodbye.'],
      ['Welcome.', 'Press 1.', 'Yes.', '', 'Goodbye.']],
  ]) {
    const [seenOne, seenTwo] = (await Promise.all([one(text), two(text)]))
      .map(cues => cues.map(cue => cue.part.replace(/\n/g, ' ')));
    console.log(`${what}: expected ${JSON.stringify(said)}`);
    console.log(`  seen vtt-to-json ${JSON.stringify(seenOne)}, vtt-2-json ${JSON.stringify(seenTwo)}`);
    assert.deepStrictEqual([seenOne, seenTwo], [toldOne, toldTwo]);
  }
})();
E
