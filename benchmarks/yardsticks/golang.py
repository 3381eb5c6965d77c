"""Builds the yardstick that is written in Go, with what Debian packages."""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

FIRST_TRY = "first_try.go"
_PACKAGES = "golang-go golang-github-gorilla-websocket-dev"
_GOPATH = Path("/usr/share/gocode")  # where Debian has the libraries of Go
_WEBSOCKET = "src/github.com/gorilla/websocket"


def missing(gopath: Path = _GOPATH) -> str:
    """One line that says what to install where Go programs cannot be built; "" where they can."""
    if shutil.which("go") and (gopath / _WEBSOCKET).is_dir():
        return ""
    return f"Go is left out; for it: apt install {_PACKAGES}"


@cache
def build() -> Path:
    """The program, built once for this process into a temporary folder. SystemExit if Go cannot build it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "first_try"
    settings = {"GO111MODULE": "off", "GOPATH": str(_GOPATH), "GOCACHE": str(folder / "cache")}
    source = Path(__file__).parent / FIRST_TRY
    command = ["go", "build", "-o", str(program), str(source)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{FIRST_TRY}: {done.stderr.strip()}")
    return program
