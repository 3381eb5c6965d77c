#!/usr/bin/env bash
# One expects `import onnxruntime`, which local speech engines run their models
# with, to write nothing: no model is loaded, and no provider asked for.
# 1.32.0 for Linux leaves a device id and an SQLite database for telemetry in
# the home directory at the import alone (in 1.22.0 there was none of it).
# In a container with a read-only home, under systemd's ProtectHome, or with
# many engine processes at once, that is a write where none is looked for, and
# an id that lasts. ORT_DISABLE_TELEMETRY=1 in the environment keeps it away;
# it must be set before the import.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
written() { # VERSION [VARIABLE=VALUE]: what an import leaves in an empty home
    rm -rf "$T/home" && mkdir "$T/home"
    env -u XDG_CACHE_HOME -u XDG_DATA_HOME HOME="$T/home" "${@:2}" "$T/$1/bin/python" -c 'import onnxruntime' >/dev/null 2>&1
    (cd "$T/home" && find . -type f | LC_ALL=C sort | tr '\n' ' ')
}
for version in 1.22.0 1.32.0; do
    python3 -m venv "$T/$version"
    "$T/$version/bin/pip" install -qq --disable-pip-version-check "onnxruntime==$version" numpy==2.2.6
done
echo "onnxruntime 1.22.0 and 1.32.0"
echo "expected: an import leaves no file in the home directory"
old=$(written 1.22.0) new=$(written 1.32.0) off=$(written 1.32.0 ORT_DISABLE_TELEMETRY=1)
echo "seen: 1.22.0: ${old:-nothing}"
echo "seen: 1.32.0: ${new:-nothing}"
echo "seen: 1.32.0 with ORT_DISABLE_TELEMETRY=1: ${off:-nothing}"
[ -z "$old" ] && [ -z "$off" ]
[[ $new == *deviceid*onnxruntime.db* ]]
