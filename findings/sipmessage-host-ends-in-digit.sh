#!/usr/bin/env bash
# One expects "sip:100@pbx1" to be a SIP URI: by RFC 3261, 25.1, the last label of
# a host name must begin with a letter, and may end in a digit (toplabel).
# sipmessage refuses each host whose last label ends in a digit and has no hyphen, in
# URIs and in Via; "pbx", "pbx-1" and "pbx1.example" are right.
# Names of that kind are what containers and hosts in a lab are called: the same
# setup works with "asterisk" and not with "asterisk2".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check sipmessage==0.7.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from sipmessage import URI, Via
print("sipmessage", version("sipmessage"))
print("expected: all of them are valid")

def valid(parse, text):
    try:
        parse(text)
    except ValueError as error:
        return f"ValueError: {error}"
    return "valid"

for host, fine in (("pbx", True), ("pbx-1", True), ("pbx1.example", True), ("pbx1", False), ("asterisk2", False),
                   ("sip.dc1", False)):
    uri, via = valid(URI.parse, f"sip:100@{host}"), valid(Via.parse, f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK1")
    print(f"seen: {host}: URI {uri}; Via {via}")
    assert (uri == "valid") == (via == "valid") == fine
E
