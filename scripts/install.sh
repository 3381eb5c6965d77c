#!/bin/sh
# Install locked requirements by two pips side by side, because one pip uses one core to check and unpack packages.
#   install.sh PYTHON FILE...
set -eu
python=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A requirement goes on over the indented lines with its hashes. What several files name is installed once.
awk -v folder="$folder" '
    /^[^ #]/ { part = seen[$1]++ ? "" : folder "/" count++ % 2 ".txt" }
    part { print > part }
' "$@"
# Each module is compiled when it is first imported, because to compile all takes longer than to unpack them.
pids=
for part in "$folder"/*.txt; do
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes --no-deps -r "$part" &
    pids="$pids $!"
done
failed=0
for pid in $pids; do
    wait "$pid" || failed=1
done
exit $failed
