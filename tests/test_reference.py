"""The pages of `docs/reference`: what is committed is what the code says."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

import mediaserver
from mediaserver.cli.main import app
from mediaserver.config.settings import PathSettings
from mediaserver.errors import RefusalReason
from mediaserver.server.admin.connections import REFUSALS as ADMIN
from mediaserver.server.admin.schemas.openapi import REFUSALS as API
from mediaserver.server.http.refusals import REFUSALS
from scripts.reference import PAGES, example, settings
from tests.timing import UNIT

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
PACKAGE = Path(mediaserver.__file__).parent


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_make_reference_makes(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page](), "make reference"


def test_there_are_no_other_pages_that_say_they_are_made() -> None:
    made = {file.name for file in FOLDER.glob("*.md") if "Made by `make reference`" in file.read_text()}
    assert made == PAGES.keys()


def test_the_options_of_the_reference_are_those_that_commands_take() -> None:
    group: Any = typer.main.get_command(app)
    sections = (FOLDER / "commands.md").read_text(encoding="utf-8").split("\n## mediaserver ")[1:]
    assert [section.split("\n")[0] for section in sections] == list(group.commands)
    for section in sections:
        command = group.commands[section.split("\n")[0]]
        told = set(re.findall(r"`(--?[a-z-]+)", "".join(re.findall(r"^\| (`-.*?) \|", section, re.MULTILINE))))
        taken = {name for each in command.params if each.param_type_name == "option" for name in each.opts}
        assert told == taken - {"--help"}


def test_neither_terminal_nor_environment_nor_hashes_play_a_part(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[server]\nport = 1\n")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "7",
        "COLUMNS": "40",
        "TERM": "dumb",
        "MEDIASERVER_SERVER__PORT": "2",
        "MEDIASERVER_QUUX": "3",
    }
    command = [sys.executable, "-m", "scripts.reference", "--check"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60 * UNIT, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def raised(*folders: str) -> Iterator[str]:
    """The first argument of every `RefusedError(…)` of the package, or of these folders, as it is written."""
    for file in sorted(file for folder in folders or [""] for file in (PACKAGE / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RefusedError":
                yield ast.unparse(node.args[0])


def test_every_refusal_that_is_raised_has_a_reason_of_the_enum_and_every_reason_is_raised() -> None:
    found = " ".join(raised())
    names = re.findall(r"RefusalReason\.([A-Z_]+)", found)
    assert set(names) == set(RefusalReason.__members__)
    assert all("RefusalReason." in each for each in raised())


def test_every_reason_is_in_the_reference_of_its_port() -> None:
    assert {*REFUSALS, *ADMIN, *API} == set(RefusalReason)
    of_the_api = ("server/admin", "playout/prompts/editing", "call/recording", "call/control")
    names = re.findall(r"RefusalReason\.([A-Z_]+)", " ".join(raised(*of_the_api)))
    assert {RefusalReason[name] for name in names} <= {*ADMIN, *API}
    counted_nowhere = set(RefusalReason) - {*REFUSALS, *ADMIN}
    assert counted_nowhere <= {RefusalReason[name] for name in names} | {
        RefusalReason.BAD_PATH,
        RefusalReason.SWITCHING,
    }


def test_the_reference_has_each_reason_with_its_status() -> None:
    told = (FOLDER / "refusals.md").read_text(encoding="utf-8").split("\n## ")
    for section, reasons in zip(told, (REFUSALS, ADMIN, API), strict=True):
        rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", section, re.MULTILINE)
        assert sorted(rows) == sorted((str(reason.status), str(reason)) for reason in reasons)


def test_the_reference_has_every_key_of_a_path() -> None:
    told = (FOLDER / "settings.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"^\| `([a-z_]+)` \|", told, re.MULTILINE))
    assert PathSettings.model_fields.keys() <= keys


EXAMPLE = """\
# Of the file.

[shop]
# What the shop is. (at start)
#
# Its name, and
# its street.
name = "x"                      # "Smith"
street = ""
# How it is paid.
money = "cash"                  # cash | card
open = true                     # closed on Sundays

# -- paths ----
[paths."/a"]
handler = "playback"
prompt = "a"
# then = "close"                # what follows;
#                               # more of it
# [paths."/b"]
# handler = "playback"
# prompt = "b"                  # a name
# then = "close"                # something else
#                               # that is passed over
"""


def test_comments_of_the_example_are_of_the_keys_below_them() -> None:
    shop = example.tables(EXAMPLE)["shop"]
    assert shop.intro == "What the shop is. (at start)"
    assert shop.keys == {
        "name": 'Its name, and its street. Example: `"Smith"`.',
        "street": "Its name, and its street.",
        "money": "How it is paid.",
        "open": "How it is paid. closed on Sundays",
    }


def test_comments_behind_settings_of_handlers_are_of_the_first_that_has_one() -> None:
    assert example.handlers(EXAMPLE) == {"playback": {"then": "what follows; more of it", "prompt": "a name"}}


def test_a_setting_that_nothing_is_said_of_is_named() -> None:
    class Shop(BaseModel):
        street: str = ""

    with pytest.raises(ValueError, match=r"Shop\.street has neither a note in config\.example\.toml nor"):
        settings.rows(Shop, {})


def test_every_link_to_a_section_of_the_pages_leads_there() -> None:
    for page in PAGES:
        text = (FOLDER / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert len(anchors) == len(headings)
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
