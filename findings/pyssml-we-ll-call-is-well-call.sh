#!/usr/bin/env bash
# Text for a voice has apostrophes in it, and in XML an apostrophe is a letter like others (XML 1.0, 2.4: only
# "<" and "&" need an escape there). One expects a builder of SSML to keep the words that it is given.
# pyssml deletes apostrophes, quotation marks, "<" and ">", and writes "and" for "&", where it "escapes" text. The
# voice says other words: "we'll" is "well", "I'll" is "ill", "she'll" is "shell", French "l'eau" is "leau",
# and "under < 18" is "under 18". In a phoneme of X-SAMPA the mark of the stress is gone. And a pause of "0.5s" is
# refused as invalid, though a check before it takes decimals; "500ms" is good.
# A caller hears "Well call you back", and a test with "Hello world" never shows it.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pyssml==0.1.3
"$T/v/bin/python" -W ignore - <<'E'
import xml.etree.ElementTree as ET
from importlib.metadata import version

from pyssml.PySSML import PySSML

print("pyssml", version("pyssml"))
for text, seen in (("We'll call you back", "Well call you back"), ("I'll wait", "Ill wait"), ("l'eau", "leau"),
                   ("under < 18", "under  18"), ("Q & A", "Q and A"), ("Hello world", "Hello world")):
    speech = PySSML()
    speech.say(text)
    spoken = ET.fromstring(speech.ssml()).text
    print(f"expected: {text}; seen: {spoken}")
    assert spoken == seen
for pause in ("500ms", "1s", "0.5s"):
    speech = PySSML()
    try:
        speech.pause(pause)
        seen = speech.ssml()
    except ValueError as error:
        seen = str(error)
    print(f"expected: a pause of {pause}; seen: {seen}")
    assert ("invalid" in seen) == (pause == "0.5s")
E
