#!/bin/sh
# Make a virtual environment where there is none that works, and leave none behind that does not: it would count as made.
#   venv.sh PYTHON FOLDER            make it
#   venv.sh --retire PYTHON FOLDER   remove it where another Python than this one made it
set -eu

version() {
    "$1" -c 'import sys; print(sys.version_info[:3])' 2>/dev/null
}

if [ "$1" = --retire ]; then
    wanted=$(version "$2") && made=$(version "$3/bin/python") && [ "$wanted" != "$made" ] || exit 0
    echo "$3 is made anew, with Python $wanted in place of $made" >&2
    rm -rf "$3"
    exit
fi

python=$1 folder=$2
if "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    exit
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is not Python 3.11 or newer: say which is, as in: make run PYTHON=python3.12" >&2
    exit 1
fi
rm -rf "$folder"
if ! "$python" -m venv "$folder"; then
    rm -rf "$folder"
    echo "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
fi
