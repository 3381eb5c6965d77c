#!/usr/bin/env bash
# "docker run --stop-timeout 40" gives a server 40 seconds to end its calls. Compose calls it
# stop_grace_period, and its durations need a unit: "40s". One expects composerize, which turns
# one into the other, to write a file that Compose takes.
# It writes stop_grace_period: "40". A reader that keeps to the specification refuses the file;
# podman-compose takes it for seconds. The same file without that line, or with "40s" in it, is
# good, and composerize has the units of the health check right, which docker run gives with one.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts composerize@1.7.6 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check compose-spec==0.2.1
cd "$T"
node -e "
const composerize = require('composerize'), { version } = require('./node_modules/composerize/package.json');
console.log('# composerize', version);
console.log((composerize.default || composerize)('docker run --name media --stop-timeout 40 --health-cmd true --health-interval 5s media:1').replace(/^name: .*/m, 'name: media'));
" >compose.yaml
"$T/v/bin/python" - <<'E'
import pathlib
from importlib.metadata import version

from compose_spec import PyCompose

text = pathlib.Path("compose.yaml").read_text()
print(text.splitlines()[0][2:], "compose-spec", version("compose-spec"))
print("expected:\n        stop_grace_period: 40s\nseen:")
print(*(line for line in text.splitlines() if "stop" in line or "interval" in line), sep="\n")
assert 'stop_grace_period: "40"' in text and "interval: 5s" in text, text
PyCompose.from_yaml(text.replace('"40"', "40s"))
try:
    PyCompose.from_yaml(text)
except ValueError as error:
    print("refused:", error)
    assert "does not have a unit" in str(error)
else:
    raise AssertionError("taken")
E
