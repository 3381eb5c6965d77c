#!/usr/bin/env bash
# A registrar may offer two qualities of protection: qop="auth,auth-int", as in the
# example of RFC 2617, section 3.5. One expects a SIP library to choose one of them, and
# to count its answers as RFC 2617, section 3.2.2, wants it: nc=00000001.
# aiovoip, which can do both, cuts the challenge at the comma between the quotes, and
# raises ValueError. So it does where a realm has a comma. What it answers to one
# alone has nc="1".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiovoip==0.3.2
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from aiovoip.auth import Auth
print("aiovoip", version("aiovoip"))
print("expected: an answer to each challenge, with nc=00000001")

def answer(realm, qop):
    try:
        challenge = Auth.from_authenticate_header(f'Digest realm="{realm}", nonce="n", qop="{qop}"', "REGISTER")
        return challenge.generate_authorization("jane", "secret", "sip:example.com")["nc"]
    except ValueError as error:
        return repr(error)

for realm, qop in (("example.com", "auth"), ("example.com", "auth,auth-int"), ("Example, Inc.", "auth")):
    print(f"seen: realm \"{realm}\", qop \"{qop}\": {answer(realm, qop)}")
assert answer("example.com", "auth") == "1"
assert answer("example.com", "auth,auth-int").startswith("ValueError")
assert answer("Example, Inc.", "auth").startswith("ValueError")
E
