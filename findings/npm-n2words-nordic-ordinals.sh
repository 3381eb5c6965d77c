#!/usr/bin/env bash
# One expects the npm package n2words to have ordinals in its languages: "All 71
# languages support all three forms", its README says.
# In Swedish, Norwegian and Danish it hangs one ending on each cardinal above
# 20: 22nd is "tjugo-tvåde" for "tjugoandra", "tjue-tode" for "tjueandre",
# "toogtyvede" for "toogtyvende". No speaker has these words. To 12 they are right.
# Python's num2words has the right ones of these.
# Dates are where it is heard: from the 21st of each month on.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts n2words@4.0.0 >/dev/null
cd "$T"
cat >ordinals.mjs <<'E'
import fs from 'fs';
const words = { version: JSON.parse(fs.readFileSync('node_modules/n2words/package.json')).version };
for (const [lang, locale] of [['sv', 'sv-SE'], ['no', 'nb-NO'], ['da', 'da-DK']]) {
  const { toOrdinal } = await import(`n2words/${locale}`);
  words[lang] = [2, 8, 12, 21, 22, 28].map(toOrdinal);
}
console.log(JSON.stringify(words));
E
node ordinals.mjs >ordinals.json
"$T/v/bin/python" - <<'E'
import json
from importlib.metadata import version
from num2words import num2words
got = json.load(open("ordinals.json"))
print("n2words", got["version"], "num2words", version("num2words"))
print("expected: tjugoandra, tjueandre, toogtyvende for 22nd")
for lang, seen in (("sv", "tjugo-tvåde"), ("no", "tjue-tode"), ("da", "toogtyvede")):
    right = [num2words(n, lang=lang, to="ordinal") for n in (2, 8, 12, 21, 22, 28)]
    print(f"seen: {lang}: 21st, 22nd, 28th: n2words {', '.join(got[lang][3:])}; num2words {', '.join(right[3:])}")
    assert got[lang][:3] == right[:3], (got[lang], right)
    assert got[lang][4] == seen and not set(got[lang][3:]) & set(right[3:]), (got[lang], right)
E
