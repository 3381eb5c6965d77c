#!/usr/bin/env bash
# "lr" in a proxy's address says that it is a loose router (RFC 3261, section 19.1.1); it
# has no value, as "ob" of an outbound flow (RFC 5626) has none. One expects a library
# that reads an address and writes it again, as a dialog's Route has to be, to keep them.
# aiovoip keeps only parameters with a value: the proxy's address comes back without its
# "lr", and a proxy that believes it takes the sender for one of RFC 2543.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiovoip==0.3.2
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from aiovoip.contact import Contact
print("aiovoip", version("aiovoip"))
print("expected: what was read is written")
for address, written in (
    ("<sip:proxy.example.com;transport=tcp>", "<sip:proxy.example.com;transport=tcp>"),
    ("<sip:proxy.example.com;lr>", "<sip:proxy.example.com>"),
    ("<sip:proxy.example.com;lr;transport=tcp>", "<sip:proxy.example.com;transport=tcp>"),
    ("<sip:jane@192.0.2.1;transport=tcp;ob>;expires=60", "<sip:jane@192.0.2.1;transport=tcp>;expires=60"),
):
    print(f"seen: {address} is written as {Contact.from_header(address)}")
    assert str(Contact.from_header(address)) == written
E
