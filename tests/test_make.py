"""The Makefile as its users have it: what it lists, and what it leaves where something is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.timing import UNIT

MAKEFILE = (ROOT / "Makefile").read_text()

# Debian's python3 without python3-venv: the folder, its interpreter and nothing more, and a failure.
WITHOUT_ENSUREPIP = f"""#!/bin/sh
case "$*" in
"-m venv "*)
    mkdir -p "$3/bin" && ln -s {sys.executable} "$3/bin/python"
    echo "The virtual environment was not created successfully because ensurepip is not available." >&2
    exit 1
    ;;
*) exec {sys.executable} "$@" ;;
esac
"""
WITH_IT = '#!/bin/sh\ncase "$*" in "-m venv "*) mkdir -p "$3/whole" ;; esac\n'
TOO_OLD = "#!/bin/sh\nexit 1\n"  # whatever it is asked


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a user would, whatever make runs these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60 * UNIT, check=False
    )


def script(file: Path, text: str) -> Path:
    """An executable file."""
    file.write_text(text)
    file.chmod(0o755)
    return file


def test_help_lists_every_target_with_a_text() -> None:
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    listed = dict(line.split(maxsplit=1) for line in make("help").stdout.splitlines())
    inner = {"announce", "tests"}
    assert listed.keys() == set(phony[1].replace("\\\n", " ").split()) - inner
    assert listed["help"] == "list the targets"


def test_run_is_what_make_does_by_itself() -> None:
    assert "mediaserver serve" in make("--dry-run").stdout


def test_run_passes_options_on_so_that_ports_can_be_chosen() -> None:
    assert "config.example.toml --port 9090" in make("--dry-run", "run", "ARGS=--port 9090").stdout


def test_the_whole_check_says_first_how_long_it_takes() -> None:
    first, *_ = make("--dry-run", "test").stdout.splitlines()
    assert "minutes on two cores" in first
    assert "minutes on two cores" not in make("--dry-run", "test", "ARGS=-x").stdout


@pytest.mark.parametrize("half_made_before", [False, True])
def test_an_environment_that_cannot_be_made_is_no_environment(half_made_before: bool, tmp_path: Path) -> None:
    python, folder = script(tmp_path / "python3", WITHOUT_ENSUREPIP), tmp_path / "env"
    if half_made_before:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").symlink_to("/usr/bin/false")
    done = make(f"{folder}/.made", f"PYTHON={python}", f"VENV={folder}")
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr
    assert not folder.exists()


def test_a_half_made_environment_is_made_whole(tmp_path: Path) -> None:
    python, folder = script(tmp_path / "python3", WITH_IT), tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to("/usr/bin/false")
    done = make(f"{folder}/.made", f"PYTHON={python}", f"VENV={folder}")
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in folder.iterdir()) == [".made", "whole"]


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    python = script(tmp_path / "python3.9", TOO_OLD)
    done = make(f"{tmp_path}/env/.made", f"PYTHON={python}", f"VENV={tmp_path}/env")
    assert done.returncode != 0
    assert f"{python} is not Python 3.11 or newer" in done.stderr


def test_another_python_takes_the_place_of_an_environment(tmp_path: Path) -> None:
    other = script(tmp_path / "python3", "#!/bin/sh\necho '(3, 99, 0)'\n")
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    for folder in (kept, gone):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").symlink_to(sys.executable)
    make("help", f"VENV={gone}", f"PYTHON={other}")
    make("help", f"VENV={kept}", f"PYTHON={sys.executable}")
    make("help", f"VENV={kept}")
    mistaken = make("help", f"VENV={kept}", f"PYTHON={tmp_path}/none")
    assert mistaken.returncode != 0
    assert f"there is no {tmp_path}/none" in mistaken.stderr
    assert (kept.exists(), gone.exists()) == (True, False)


def test_the_readme_names_what_debian_must_have() -> None:
    section = (ROOT / "README.md").read_text().split("\n## Two commands\n")[1].split("\n## ")[0]
    assert "apt install python3 python3-venv make git" in section
    script = (ROOT / "scripts/stock_debian.sh").read_text()
    (pattern,) = re.findall(r"grep -oE '(apt install .*?)' \"\$project/README.md\"", script)
    (packages, *_) = re.findall(pattern, (ROOT / "README.md").read_text())
    assert packages == "apt install python3 python3-venv make git"
