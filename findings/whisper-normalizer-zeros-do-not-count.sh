#!/usr/bin/env bash
# Recognisers are compared by word error rate after Whisper's normaliser for English, which spells numbers in one way:
# "one two three" and "123" are the same. One expects a PIN or a phone number with a digit missing to be an
# error, and a right transcript to be none.
# It drops the zeros before a number that is written in figures: 0123 is 123, 007 is 7, and of +44 20 7946 0018 the
# last group is 18. In words the zeros stay, so that "zero one two three" and 0123 do not match. Right answers are
# errors elsewhere, too: "ten thirty" is 1030, but 10:30 is "10 30". "Nine o'clock" is "90 clock": the "o" is a zero.
# The recogniser that loses zeros has the same score as the one that hears them, or a better one, in just the
# words that a caller is asked for.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check whisper-normalizer==0.1.15 jiwer==4.0.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from jiwer import wer
from whisper_normalizer.english import EnglishTextNormalizer
print("whisper-normalizer", version("whisper-normalizer"), "jiwer", version("jiwer"))
print("expected: an error where a digit is missing, and none where a number is written in another way")
normal = EnglishTextNormalizer()
for said, heard, same, text in (
    ("one two three", "123", True, "123"), ("twenty five dollars", "$25", True, "$25"),
    ("my code is 0123", "my code is 123", True, "my code is 123"), ("agent 007", "agent 7", True, "agent 7"),
    ("+44 20 7946 0018", "+44 20 7946 18", True, "44 20 7946 18"), ("my code is zero one two three", "my code is 0123", False, "my code is 0123"),
    ("ten thirty", "10:30", False, "1030"), ("at nine o'clock", "at ninety clock", True, "at 90 clock"),
):
    rate = wer(normal(said), normal(heard))
    print(f"seen: {said!r} is {normal(said)!r}, {heard!r} is {normal(heard)!r}: word error rate {rate:.0%}")
    assert normal(said) == text and (rate == 0) == same
E
