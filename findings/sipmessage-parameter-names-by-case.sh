#!/usr/bin/env bash
# One expects a SIP parser to find "Tag", "Branch" and "Transport" where it is asked
# for tag, branch and transport: RFC 3261, 7.3.1, has names of parameters
# compared without regard to case. sipmessage does so for names of headers.
# It keeps the names of parameters as they came, and finds them only as they are.
# A dialog then has no remote tag and a response no branch: calls with the few
# peers that write capitals are taken for new ones, or their answers for nobody's.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check sipmessage==0.7.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from sipmessage import Message
print("sipmessage", version("sipmessage"))
print("expected: 1928, z9hG4bK776 and UDP for both")
for change in (str, str.title):
    lines = ["OPTIONS sip:bob@biloxi.example SIP/2.0",
             f"{change('via')}: SIP/2.0/UDP pc33.example;{change('branch')}=z9hG4bK776",
             f"{change('from')}: <sip:alice@atlanta.example;{change('transport')}=UDP>;{change('tag')}=1928", "", ""]
    got = Message.parse("\r\n".join(lines).encode())
    tag = got.from_address.parameters.get("tag")
    branch = got.via[0].parameters.get("branch")
    transport = got.from_address.uri.parameters.get("transport")
    print(f"seen: {lines[2]}: tag {tag}, branch {branch}, transport {transport}")
    assert (tag, branch, transport) == (("1928", "z9hG4bK776", "UDP") if change is str else (None, None, None))
E
