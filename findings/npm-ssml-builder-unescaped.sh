#!/usr/bin/env bash
# One expects a builder of SSML to write well-formed XML (SSML 1.1 is XML) from
# any text: ssml-builder escapes "&" and "<" in say, prosody and emphasis.
# It does not in sayAs, nor in the alias of sub, nor in the address of audio:
# "AT&T" to be spelled out, an alias with "&" or a signed address with two parameters
# makes a document that no XML parser takes.
# TTS engines refuse the whole utterance then, or speak its tags, for those
# customers only who have such a name.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ssml-builder@0.4.3 >/dev/null
cd "$T"
node - >built.json <<'E'
const Speech = require('ssml-builder');
console.log(JSON.stringify({
  version: require('./node_modules/ssml-builder/package.json').version,
  say: new Speech().say('AT&T').ssml(),
  prosody: new Speech().prosody({ rate: 'slow' }, 'AT&T').ssml(),
  emphasis: new Speech().emphasis('strong', 'AT&T').ssml(),
  sayAs: new Speech().sayAs({ word: 'AT&T', interpret: 'spell-out' }).ssml(),
  sub: new Speech().sub('Research & Development', 'R&D').ssml(),
  audio: new Speech().audio('https://example.com/a.wav?b=1&c=2').ssml(),
}));
E
python3 - <<'E'
import json
from xml.etree import ElementTree
built = json.load(open("built.json"))
print("ssml-builder", built.pop("version"))
print("expected: well-formed XML each time")
for name, ssml in built.items():
    try:
        ElementTree.fromstring(ssml)
        seen = "well-formed"
    except ElementTree.ParseError as error:
        seen = str(error)
    print(f"seen: {name}: {ssml}: {seen}")
    assert (seen == "well-formed") == (name in ("say", "prosody", "emphasis"))
E
