#!/usr/bin/env bash
# An address book reads a card, changes a number and writes the card again. One expects a package that promises "full
# round-trip fidelity" to write what it has read: RFC 6350 has one N in a card, and phone numbers as URIs with
# VALUE=uri and ";ext=5" (6.4.1 has such an example).
# pythonvCard4 keeps N, FN and ORG for unknown properties as well, and writes them behind its own: a second N with its
# semicolons escaped, so that "Doe;Jane;;;" is the family name, and a second FN. Read and written again the second
# ones are twice as long, and so on. ORG loses its parts. A number as URI loses VALUE=uri and has "\;ext=5", a URL
# with ";" gets a backslash, and the numbers that an iPhone writes as item1.TEL are not in tel.
# A reader that takes the last N shows a contact by a name with semicolons, and the card grows with each save.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pythonvCard4==0.2.0 pillow==13.0.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version

from pythonvCard4.vcard import Contact

print("pythonvCard4", version("pythonvCard4"))
lines = ["BEGIN:VCARD", "VERSION:4.0", "FN:Jane Doe", "N:Doe;Jane;;;", "ORG:Smith;Sales", "TEL;TYPE=cell:+12025550199",
         "TEL;VALUE=uri;TYPE=work:tel:+1-202-555-0123;ext=5", "item1.TEL:+12025550111", "URL:https://example.com/?a=1;b=2", "END:VCARD"]
card = "\r\n".join([*lines, ""])
print("expected: these lines again, each time, and three numbers")
print("seen:", *(tel["value"] for tel in Contact.from_vcard(card).tel))
assert [tel["value"] for tel in Contact.from_vcard(card).tel] == ["+12025550199", "tel:+1-202-555-0123;ext=5"]
more = []
for time in (1, 2, 3):
    card = Contact.from_vcard(card).to_vcard()
    more.append([line for line in card.split("\r\n") if line and line not in lines])
    print(f"saved {time} times, new lines:", *more[-1], sep="\n  ")
assert more[0] == [r"TEL;TYPE=work:tel:+1-202-555-0123\;ext=5", r"URL:https://example.com/?a=1\;b=2", r"N:Doe\;Jane\;\;\;",
                   r"ORG:Smith\;Sales", "ITEM1.TEL:+12025550111"], more[0]
assert r"N:Doe\;Jane\;\;\;;Doe\;Jane\;\;\;" in more[1] and len(card.split("\r\nN:")) == 3
assert any(line.count("Doe") == 3 for line in more[2])
E
