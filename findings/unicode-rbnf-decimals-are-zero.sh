#!/usr/bin/env bash
# One expects a package that speaks numbers by Unicode's rules (CLDR) to speak the digits
# behind the decimal point, as unicode-rbnf does in English and German, or to raise an error
# for what it does not know. In Polish, Russian, Kazakh and Kyrgyz each digit behind the
# point is "zero": 12.5 and 12.7 are both "twelve point zero", and 3.75 is "three point zero
# zero". In Russian the words run into each other besides. Whole numbers are right. A caller
# hears a temperature, a rate or an amount without its fraction, and a test with whole
# numbers never shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check unicode-rbnf==2.4.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from unicode_rbnf import RbnfEngine
print("unicode-rbnf", version("unicode-rbnf"))
print("expected: other words for 12.5 than for 12.7")
for language, fifth, whole in (("en", "twelve point five", "twelve"), ("de", "zwölf Komma fünf", "zwölf"),
                               ("pl", "dwanaście przecinek zero", "dwanaście"),
                               ("ru", "двенадцать  целыхноль десятых", "двенадцать"),
                               ("kk", "он екі бүтін оннан нөл", "он екі"),
                               ("ky", "он эки бүтүн ондон нөл", "он эки")):
    engine = RbnfEngine.for_language(language)
    said = [engine.format_number(n).text for n in ("12.5", "12.7", "3.75", "12")]
    print(f"seen: {language}: " + "; ".join(said))
    assert said[0] == fifth and said[3] == whole
    assert (said[0] == said[1]) == (language not in ("en", "de"))
E
