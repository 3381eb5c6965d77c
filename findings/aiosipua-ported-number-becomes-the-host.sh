#!/usr/bin/env bash
# A trunk in North America tells of a ported number in the user part of the address:
# sip:+12025550100;npdi;rn=+12025550199@host (RFC 4694; ";" needs no escape in the user
# part, RFC 3261, section 25.1). One expects the host to be what follows the "@".
# aiosipua cuts at the first ";": the number is the host, there is no user, and the
# routing number's parameter holds the true host. A call without these is read well.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiosipua==0.7.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from aiosipua.headers import parse_address
print("aiosipua", version("aiosipua"))
print("expected: the host trunk.example.com of both")
plain = parse_address("<sip:+12025550100@trunk.example.com;user=phone>").uri
ported = parse_address("<sip:+12025550100;npdi;rn=+12025550199@trunk.example.com;user=phone>").uri
for kind, uri in (("a plain", plain), ("a ported", ported)):
    print(f"seen: {kind} number: host {uri.host}, user {uri.user}, parameters {dict(uri.params)}")
assert (plain.host, plain.user) == ("trunk.example.com", "+12025550100")
assert (ported.host, ported.user) == ("+12025550100", None)
assert ported.params["rn"] == "+12025550199@trunk.example.com"
E
