#!/usr/bin/env bash
# Whoever says a number of a telephone or a room says "oh" for a zero: "one oh five". A recogniser
# writes it so. One expects numwords-to-nums, which writes "zero five five" as 055, to know it, or
# to leave the word alone, as it does with "a dozen".
# Any text with the word is an error, a KeyError: also "oh hello", in which there is no number.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numwords-to-nums==1.2.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from numwords_to_nums.numwords_to_nums import NumWordsToNum

print("numwords-to-nums", version("numwords-to-nums"))
print("expected: one oh five is 105, and oh hello stays as it is")
write = NumWordsToNum().numerical_words_to_numbers
for text, written in (("zero five five", "055"), ("a dozen", "a dozen")):
    print(f"seen: {text}: {write(text)}")
    assert write(text) == written
for text in ("one oh five", "oh hello"):
    try:
        written = write(text)
    except KeyError as error:
        print(f"seen: {text}: KeyError: {error}")
    else:
        raise SystemExit(f"{text} is {written} now")
E
