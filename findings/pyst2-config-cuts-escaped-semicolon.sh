#!/usr/bin/env bash
# In Asterisk's configuration a semicolon begins a comment, "\;" is a semicolon, and
# "name = value" has the value without the blanks around it. [100](phone) takes the settings of a
# template, as most pjsip.conf do. One expects asterisk.config, in pyst2, to read such files:
# it is there to "parse Asterisk configuration files".
# It cuts at "\;" too, keeps the blank before a value (" dynamic") unless "=>" is written, and
# raises an error for a section with a template. So Dial() loses what stands behind the first parameter of a
# SIP URI, its closing bracket with it, and a test for value == "yes" holds for "a=yes" and not for "a = yes".
# asterisklint reads the escape as Asterisk does, and a file without these reads well.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pyst2==0.5.1 six==1.17.0 asterisklint==0.4.3
T=$T "$T/v/bin/python" -W ignore - <<'E'
import os, pathlib, subprocess
from importlib.metadata import version

from asterisk.config import Config, ParseError

print("pyst2", version("pyst2"))
path = pathlib.Path(os.environ["T"], "extensions.conf")


def read(text):
    path.write_text(text)
    return [(item.name, item.value) for category in Config(str(path)).categories for item in category.items]


line = r"100,1,Dial(PJSIP/trunk/sip:7@pbx\;user=phone,20) ; ring"
seen = read(f"[default]\nexten => {line}\n")
print(r"expected: 100,1,Dial(PJSIP/trunk/sip:7@pbx\;user=phone,20)", "\nseen:    ", seen[0][1])
assert seen == [("exten", r"100,1,Dial(PJSIP/trunk/sip:7@pbx" + "\\")], seen
shown = subprocess.run([path.parent / "v/bin/asterisklint", "dialplan-show", path], capture_output=True, text=True).stdout
assert "Dial(PJSIP/trunk/sip:7@pbx;user=phone,20)" in shown, shown

seen = read("[100]\nhost = dynamic\nqualify=yes\nallow => ulaw\n")
print("expected: dynamic, yes, ulaw; seen:", [value for _, value in seen])
assert seen == [("host", " dynamic"), ("qualify", "yes"), ("allow", "ulaw")], seen

try:
    seen = read("[phone](!)\ntype=endpoint\n[100](phone)\ncontext=default\n")
except ParseError as error:
    print("expected: a section [100]; seen: ParseError", error)
else:
    raise AssertionError(seen)
E
