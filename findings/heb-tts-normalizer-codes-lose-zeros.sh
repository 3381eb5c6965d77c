#!/usr/bin/env bash
# heb-tts-normalizer reads a telephone number, and an extension such as 101, digit by
# digit. One expects the same of a number that begins with a zero, since no amount is
# written so. But code 0042 is read as "forty-two", and number 007 as "seven": who
# hears it and types what was said is refused.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check heb-tts-normalizer==0.2.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from heb_tts_normalizer import normalize
print("heb-tts-normalizer", version("heb-tts-normalizer"))
print("expected: four words for the four digits of a code")
zero, code, extension, number = "אפס", "קוד", "שלוחה", "מספר"
for text in (f"{extension} 101", f"{code} 0042", f"{code} 42", f"{number} 007", f"{number} 7"):
    print(f"seen: \"{text}\" is \"{normalize(text)}\"")
assert len(normalize(f"{extension} 101").split()) == 4 and zero in normalize(f"{extension} 101")
assert normalize(f"{code} 0042") == normalize(f"{code} 42")
assert normalize(f"{number} 007") == normalize(f"{number} 7")
E
