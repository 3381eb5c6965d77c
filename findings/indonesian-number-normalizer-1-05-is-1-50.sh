#!/usr/bin/env bash
# indonesian-number-normalizer says an amount as "one dollar fifty sen", and a rate as
# "two comma five percent". One expects 1.05 dollars to be five sen, and 2.05 % to be
# "two comma zero five". Zeros after the point are dropped: both are said as 1.50 and
# 2.5 %. A rate below zero but above -1 loses its sign, and 14:30 is said as 02:30 is,
# though 14:00 is "in the afternoon".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check indonesian-number-normalizer==0.1.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from indonesian_number_normalizer import create_normalizer
say = create_normalizer()
print("indonesian-number-normalizer", version("indonesian-number-normalizer"))
print("expected: each pair sounds different")
for told, one, other in (
    (lambda amount: say.convert_currency(amount, "USD"), 1.05, 1.5),
    (say.convert_percentage, 2.05, 2.5),
    (say.convert_percentage, -0.5, 0.5),
    (say.convert_time, "14:30", "02:30"),
):
    print(f"seen: {one} is \"{told(one)}\", {other} is \"{told(other)}\"")
    assert told(one) == told(other)
print(f"seen: 14:00 is \"{say.convert_time('14:00')}\", 02:00 is \"{say.convert_time('02:00')}\"")
assert say.convert_time("14:00") != say.convert_time("02:00")
assert say.number_to_words(2.05).endswith("koma nol lima")  # it can say the zero
E
