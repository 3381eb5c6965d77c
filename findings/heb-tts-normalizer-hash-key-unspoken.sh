#!/usr/bin/env bash
# Hebrew prompts name the keys * and #: "כוכבית" and "סולמית". heb-tts-normalizer says
# that what reads its text aloud "only ever sees words", and it does speak a star
# before digits. One expects the other key to be spoken as well, and a star alone.
# Both stay signs: the caller hears "to finish, press", and then nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check heb-tts-normalizer==0.2.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from heb_tts_normalizer import normalize
print("heb-tts-normalizer", version("heb-tts-normalizer"))
print("expected: no sign is left")
star, hash_key, press = "כוכבית", "סולמית", "הקישו"
for text in (f"{press} *6050", f"{press} #6050", "*100#", f"{press} #", f"{press} *"):
    print(f"seen: \"{text}\" is \"{normalize(text)}\"")
assert normalize(f"{press} *6050").startswith(f"{press} {star} ")
assert normalize(f"{press} #6050") == f"{press} #6050"
assert normalize("*100#").startswith(star) and normalize("*100#").endswith("#")
assert normalize(f"{press} #") == f"{press} #" and normalize(f"{press} *") == f"{press} *"
assert hash_key not in "".join(normalize(text) for text in (f"{press} #", "*100#"))
E
