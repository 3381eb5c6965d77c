#!/bin/bash
# Try the README out on a Debian 12 as it is installed: its packages, its two commands, a call. As root, with debootstrap.
#   stock_debian.sh [ARGUMENTS OF PYTEST…]   `none` as the only argument leaves the tests out; without any, all run
# SUITE=sid: another Debian, for its Python. What this machine knows of package sources, proxies and authorities is
# copied into the new root; nothing else is.
set -euo pipefail

suite=${SUITE:-bookworm}
project=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d -t stock-debian.XXXXXX)

say() {
    printf '\n=== %s (%s s)\n' "$*" "$SECONDS"
}

# Ask all that runs in the new root to end.
hang_up() {
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/root")" = "$root" ]; then kill -TERM "${process#/proc/}" 2>/dev/null || true; fi
    done
}

stop() {
    hang_up
    wait
    for path in dev proc; do
        if mountpoint -q "$root/$path"; then umount --lazy "$root/$path"; fi
    done
    if ! grep -q " $root/" /proc/mounts; then rm -rf --one-file-system "$root"; fi # never through a mount
}
trap stop EXIT

# A command in the new root, in the clone of the project there, with the environment of a login and no more.
inside() {
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        "${environment[@]}" sh -c "cd /root && if [ -d mediaserver ]; then cd mediaserver; fi && $*"
}

copy() {
    for file in "$@"; do
        if [ -e "$file" ]; then
            mkdir -p "$root$(dirname "$file")"
            cp -rL --remove-destination "$file" "$root$(dirname "$file")/"
        fi
    done
}

mirror_of() {
    apt-cache policy | grep -oE 'https?://\S+ '"$1"'/main' | head -n 1 | cut -d ' ' -f 1 | grep .
}

say "a stock Debian: $suite"
mirror=${MIRROR:-$(mirror_of "$suite" || mirror_of '[a-z]+' || true)} # that of another suite has all suites
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || {
    tail "$root.log" >&2
    exit 1
}
rm "$root.log"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"

# Package sources, proxies and authorities of this machine, wherever it has them.
copy /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip "$HOME/.config/pip" "$HOME/.pip" "$HOME/.npmrc" /etc/npmrc
copy /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/auth.conf.d /etc/apt/keyrings
if [ "$suite" != "$(. /etc/os-release && echo "$VERSION_CODENAME")" ]; then
    rm -rf "$root/etc/apt/sources.list.d"
    echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
fi
environment=()
while IFS='=' read -r name value; do
    environment+=("$name=$value")
    if [ -f "$value" ]; then copy "$value"; fi
done < <(env | grep -E '^(PIP_|UV_|npm_config_|NPM_CONFIG_|[a-zA-Z]+_proxy=|[A-Z]+_PROXY=|[A-Z_]*CA_(BUNDLE|CERTS)=|SSL_CERT_FILE=|TEST_TIME_UNIT=)' || true)

packages=$(grep -oE 'apt install [a-z0-9 -]+' "$project/README.md" | head -n 1 | sed 's/apt install //')
say "apt install $packages"
inside "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes $packages" >/dev/null
git clone --quiet --no-hardlinks "$project" "$root/root/mediaserver"
inside "git config --global --add safe.directory /root/mediaserver && git log -1 --format='the commit %h: %s' && python3 --version"

say "make run"
inside "exec make run" >"$root/root/run.log" 2>&1 &
server=$!
for _ in $(seq 600); do
    if grep -q listening "$root/root/run.log" || ! kill -0 $server 2>/dev/null; then break; fi
    sleep 1
done
grep -q listening "$root/root/run.log" || {
    cat "$root/root/run.log" >&2
    exit 1
}
say "it listens; a call"
status=0
inside ".venv/bin/mediaserver call ws://127.0.0.1:8080/audio-stream --record heard.wav" || status=$? # a busy machine's pace
inside "ls -l heard.wav"
hang_up
wait "$server" || true
tail -n 2 "$root/root/run.log"

if [ "${*:-}" != none ]; then
    say "make test ${*:+ARGS='$*'}"
    inside "make test ${*:+ARGS='$*'}" || status=$?
fi
say "done, with $status"
exit "$status"
