#!/usr/bin/env bash
# The GSM alphabet packs eight letters of 7 bits into seven bytes. Where seven letters end a text there are seven bits
# left over, which would read as an "@" (code 0): 3GPP TS 23.038, 6.1.2.3, puts a carriage return there. One
# expects a codec for packed text to do so, or at least to read back what it wrote.
# aiosmpplib's gsm0338_packed leaves zeros there, and reads them as "@". Each text of 7, 15, 23 ... letters gets one
# more at its end: one in eight, among them any code of seven digits, and a menu of 7 letters. gsm7 on npm has the
# carriage return. Other lengths, and the unpacked codec of aiosmpplib, are right.
# A code is sent as "1234567@", and the answer to it comes in with one.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiosmpplib==0.7.4
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts gsm7@1.3.1 >/dev/null
cd "$T"
"$T/v/bin/python" - <<'E'
import json, subprocess
from importlib.metadata import version
from aiosmpplib import GSM7BitCodec, GSM7BitPackedCodec
print("aiosmpplib", version("aiosmpplib"))
print("expected: the text that was sent")
texts = ["123456", "1234567", "12345678", "abcdefghijklmno", "a" * 16, "1234567@"]
script = "const g = require('gsm7'); console.log(JSON.stringify(JSON.parse(process.argv[1]).map(t => g.encode(t).toString('hex'))))"
others = json.loads(subprocess.run(["node", "-e", script, json.dumps(texts)], capture_output=True, check=True).stdout)
packed, plain = GSM7BitPackedCodec(), GSM7BitCodec()
for text, other in zip(texts, others):
    data = packed.encode(text)[0]
    back = packed.decode(data)[0]
    print(f"seen: {text!r} -> {data.hex()} -> {back!r}; gsm7 {other}")
    assert plain.decode(plain.encode(text)[0])[0] == text
    seven = len(text) % 8 == 7
    assert back == text + ("@" if seven else "")
    assert data == bytes.fromhex(other) or seven and other.endswith(f"{data[-1] | 0x1A:02x}")
assert packed.encode("1234567") == (packed.encode("1234567@")[0], 7)
E
