#!/bin/sh
# Resolve pyproject.toml into one hash-locked file per purpose, for every platform and Python from 3.11 on.
#   lock.sh UV [--upgrade]
set -eu
uv=$1
shift
compile() {
    name=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --output-file "requirements/$name.txt" "$@"
}
compile dev pyproject.toml --group dev "$@"
compile pipecat --no-deps --group pipecat --constraints requirements/dev.txt "$@"
for name in runtime build speech bench docs audit mutants; do # the others are cut from the same cloth
    case $name in
        runtime) set -- pyproject.toml ;;
        build | bench | docs | audit | mutants) set -- --group "$name" ;;
        speech) set -- pyproject.toml --extra speech ;;
    esac
    compile "$name" "$@" --constraints requirements/dev.txt
done
