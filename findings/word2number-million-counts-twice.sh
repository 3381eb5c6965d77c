#!/usr/bin/env bash
# One expects "one million two hundred thousand" in a transcript to become 1200000.
# word2number gives 1201200: where nothing follows "thousand" it adds the hundreds of the
# thousands once more as ones, and "one million two thousand" is even 1003002. The same
# holds of "billion" with "million". With "five hundred" behind it, or without the million,
# it is right. Digits that are said one by one become one small number, without an error:
# "nine one one" is 10. The amounts that people say most, round ones, come out wrong by some
# hundreds or thousands, and near enough to the right ones to be believed. number-parser has
# them right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check word2number==1.1 number-parser==0.3.2
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from number_parser import parse
from word2number import w2n
print("word2number", version("word2number"), "number-parser", version("number-parser"))
print("expected: the same number from both")
for words, right, told in (("one million two hundred thousand", 1200000, 1201200),
                           ("two million five hundred thousand", 2500000, 2501500),
                           ("one million two thousand", 1002000, 1003002),
                           ("one million fifty thousand", 1050000, 1051050),
                           ("three billion four hundred million", 3400000000, 3401000400),
                           ("one million two hundred thousand five hundred", 1200500, 1200500),
                           ("two hundred thousand", 200000, 200000)):
    got = w2n.word_to_num(words)
    print(f"seen: {words}: word2number {got}, number-parser {parse(words)}")
    assert (got, parse(words)) == (told, str(right))
got = w2n.word_to_num("nine one one")
print(f"seen: nine one one: word2number {got}, number-parser {parse('nine one one')}")
assert (got, parse("nine one one")) == (10, "9 1 1")
E
