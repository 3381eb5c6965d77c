#!/usr/bin/env bash
# SSML 1.0 (3.2.4) takes a rate of "+20%" or the number 1.2 for a fifth faster, and a pitch of "+2st" for two
# semitones, or 12 %, higher. Amazon and Google take some of these and not others. One expects verifyAndFix of
# ssml-check-core, which gives "a fixed SSML string", to write the same in the platform's form: 120%, +12%.
# It takes the bare number, without sign and unit: "+20%", "-10%" and 1.2 all become 20%, a fifth of the
# speed, +2st becomes +2%. Also, where it has anything to fix, it drops the blanks between two elements, so that two
# words become one. It writes "&amp;" in an attribute as "&", which its own check then refuses. And where it escapes
# one "&" it escapes those of "&lt;" again, so that the voice reads out "lt".
# A prompt that was good for another vendor's voice is read at a fifth of its speed, and reported as fixed.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ssml-check-core@0.3.9 >/dev/null
cd "$T"
cat >run.mjs <<'E'
import assert from 'assert';
import { createRequire } from 'module';
import ssml from 'ssml-check-core';
console.log('ssml-check-core', createRequire(import.meta.url)('./node_modules/ssml-check-core/package.json').version);
const fix = async text => (await ssml.verifyAndFix(`<speak>${text}</speak>`, { platform: 'amazon' })).fixedSSML?.slice(7, -8);
const strong = word => `<emphasis level="strong">${word}</emphasis>`;
const pause = '<break time="20s"/>', short = '<break time="10s"/>';
for (const [text, expected, seen] of [
  ['<prosody rate="+20%">a</prosody>', '<prosody rate="120%">a</prosody>', '<prosody rate="20%">a</prosody>'],
  ['<prosody rate="-10%">a</prosody>', '<prosody rate="90%">a</prosody>', '<prosody rate="20%">a</prosody>'],
  ['<prosody rate="1.2">a</prosody>', '<prosody rate="120%">a</prosody>', '<prosody rate="20%">a</prosody>'],
  ['<prosody pitch="+2st">a</prosody>', '<prosody pitch="+12%">a</prosody>', '<prosody pitch="+2%">a</prosody>'],
  [`${strong('a')} ${strong('b')}${pause}`, `${strong('a')} ${strong('b')}${short}`, `${strong('a')}${strong('b')}${short}`],
  [`<sub alias="Q &amp; A">QA</sub>${pause}`, `<sub alias="Q &amp; A">QA</sub>${short}`, `<sub alias="Q & A">QA</sub>${short}`],
  ['5 &lt; 6 & 7', '5 &lt; 6 &amp; 7', '5 &amp;lt; 6 &amp; 7'],
  [pause, short, short]]) {
  const got = await fix(text);
  console.log(`${text}\n  expected: ${expected}\n  seen:     ${got}`);
  assert.strictEqual(got, seen);
}
const refused = await ssml.check(`<speak>${await fix(`<sub alias="Q &amp; A">QA</sub>${pause}`)}</speak>`, { platform: 'amazon' });
console.log('of the sub that was fixed:', refused[0].type);
assert.strictEqual(refused[0].type, 'Invalid & character');
E
node run.mjs
