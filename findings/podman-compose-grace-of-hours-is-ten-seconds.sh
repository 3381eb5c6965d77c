#!/usr/bin/env bash
# A media server that drains needs time: calls in progress end before it does. Compose has
# stop_grace_period for it, with "2h32m" among the examples of durations in its specification.
# One expects podman-compose to give Podman that many seconds, or to say that it cannot.
# It knows minutes and seconds only. From "1h" on it gives no time at all, without a word, and
# "podman stop" then has its own default: SIGKILL after 10 seconds. 90m, and 1h written as 60m,
# are right. Whoever raises 45m to 1h, to lose fewer calls, loses all of them.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check podman-compose==1.6.0 compose-spec==0.2.1
mkdir "$T/bin" "$T/app"
# What podman-compose asks of Podman is written down in place of being done.
printf '#!/bin/sh\n[ "$1" != --version ] || echo podman version 5.4.0\necho "$*" >>"%s/asked"\n' "$T" >"$T/bin/podman"
chmod +x "$T/bin/podman"
PATH=$T/bin:$PATH T=$T "$T/v/bin/python" - <<'E'
import os, pathlib, re, subprocess
from importlib.metadata import version

import compose_spec

T = pathlib.Path(os.environ["T"])
print("podman-compose", version("podman-compose"))
grace = {"a": "45m", "b": "60m", "c": "1m30s", "d": "1h", "e": "2h32m"}
expected = {name: int(compose_spec.parse_duration(text)) for name, text in grace.items()}
services = "".join(f"  {n}: {{image: media, stop_grace_period: {t}}}\n" for n, t in grace.items())
(T / "app/compose.yaml").write_text("services:\n" + services)
subprocess.run([T / "v/bin/podman-compose", "stop"], cwd=T / "app", check=True, capture_output=True)
stops = re.findall(r"^stop (?:-t (\d+) )?app_(\w)_1$", (T / "asked").read_text(), re.M)
seen = {name: int(seconds) if seconds else None for seconds, name in stops}
for name, text in grace.items():
    print(f"{text}: expected podman stop -t {expected[name]}, seen -t {seen[name]}")
assert expected == {"a": 2700, "b": 3600, "c": 90, "d": 3600, "e": 9120}
assert seen == {"a": 2700, "b": 3600, "c": 90, "d": None, "e": None}, seen
E
