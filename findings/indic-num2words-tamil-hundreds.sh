#!/usr/bin/env bash
# Tamil has a word of its own for each hundred: 200 is one word, and 900 another, as
# Unicode's rules (CLDR) spell them. indic-num2words has the words of all numbers to 99
# in each of its languages, and in Telugu knows how 100 and 101 differ from "one
# hundred". One expects the hundreds of Tamil as well.
# It says "one hundred" for 100, where Tamil has no one, and puts the words for 2 and
# 100 side by side for 200, so that no amount from 100 on sounds right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check indic-num2words==1.3.2 unicode-rbnf==2.4.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num_to_words import num_to_word
from unicode_rbnf import RbnfEngine
print("indic-num2words", version("indic-num2words"), "and CLDR by unicode-rbnf", version("unicode-rbnf"))
print("expected: the words of CLDR")
cldr, hundred = RbnfEngine.for_language("ta"), "நூறு"
for number in (100, 200, 500, 900):
    seen, expected = num_to_word(number, lang="ta"), cldr.format_number(number).text
    print(f"seen: {number} is \"{seen}\", not \"{expected}\"")
    assert seen == f"{num_to_word(number // 100, lang='ta')} {hundred}" and " " not in expected
assert num_to_word(100, lang="te") != f"{num_to_word(1, lang='te')} {num_to_word(100, lang='te')}"
E
