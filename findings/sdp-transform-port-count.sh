#!/usr/bin/env bash
# "m=audio 49170/2 RTP/AVP 0 8" in SDP: two pairs of ports from 49170 on; and "c=" may come several times in one medium
# (RFC 8866, 5.14 and 5.7, with such examples). One expects sdp-transform, of npm and of PyPI, to read it, or to
# raise an error, and to write again what it has read.
# It does not know the "/2", and gives a medium without type, port, codecs. npm's writes "m=undefined NaN undefined", the
# other raises TypeError when it writes. Of several "c=" lines both keep the last.
# With one port and one address all is right. JsSIP has sdp-transform inside.
# An offer with layered or multicast media seems to have no audio, and is nonsense when it is passed on.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts sdp-transform@3.0.0 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check sdp-transform==1.1.0
cd "$T"
cat >run.js <<'E'
const assert = require('assert');
const transform = require('sdp-transform');
console.log('sdp-transform of npm', require('./node_modules/sdp-transform/package.json').version);
console.log('expected: the lines that were read');
const head = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n';
const rewritten = lines =>
  transform.write(transform.parse(head + lines.join('\r\n') + '\r\n')).split('\r\n').filter(line => /^[mc]=/.test(line));
const one = ['m=audio 49170 RTP/AVP 0 8', 'c=IN IP4 192.0.2.1'];
const ports = ['m=audio 49170/2 RTP/AVP 0 8', 'c=IN IP4 192.0.2.1'];
const addresses = ['m=audio 49170 RTP/AVP 0 8', 'c=IN IP4 233.252.0.1/127', 'c=IN IP4 233.252.0.2/127', 'c=IN IP4 233.252.0.3/127'];
for (const [lines, seen] of [[one, one], [ports, ['m=undefined NaN undefined ', ports[1]]], [addresses, [addresses[0], addresses[3]]]]) {
  const got = rewritten(lines);
  console.log('seen:', lines, 'becomes', got);
  assert.deepStrictEqual(got, seen);
}
E
node run.js
v/bin/python - <<'E'
from importlib.metadata import version
import sdp_transform
print("sdp-transform of PyPI", version("sdp-transform"))
head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
print("expected: the same")
read = sdp_transform.parse(head + "m=audio 49170/2 RTP/AVP 0 8\r\nc=IN IP4 192.0.2.1\r\n")
print("seen:", read["media"])
assert not {"type", "port", "payloads"} & set(read["media"][0])
try:
    written = sdp_transform.write(read)
except TypeError as error:
    written = error
print("seen:", repr(written))
assert isinstance(written, TypeError)
addresses = sdp_transform.parse(head + "m=audio 49170 RTP/AVP 0\r\nc=IN IP4 233.252.0.1/127\r\nc=IN IP4 233.252.0.2/127\r\n")
print("seen:", addresses["media"][0]["connection"])
assert addresses["media"][0]["connection"]["ip"] == "233.252.0.2/127"
right = head + "m=audio 49170 RTP/AVP 0 8\r\nc=IN IP4 192.0.2.1\r\n"
assert sorted(sdp_transform.write(sdp_transform.parse(right)).split()) == sorted(right.split())
E
