"""What `check` finds and shows, without a process around it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from mediaserver import config, tables
from mediaserver.server.check import Findings, check
from tests.server.process import write_config


async def found(tmp_path: Path, text: str) -> Findings:
    settings, problems = config.load(write_config(tmp_path, text))
    return await check(settings, "c.toml", problems, lambda done, total: None)


def shown(findings: Findings, width: int = 200) -> str:
    """All that is printed of findings, in a terminal or a pipe of so many columns."""
    text = io.StringIO()
    out = Console(file=text, width=width)
    tables.show_findings(findings, out, out)
    return text.getvalue()


@pytest.mark.parametrize(
    ("menus", "line"),
    [
        ('menu.main.play = "welcome"', "menu: unknown setting"),
        ("", "menus is missing"),
        ('menus = "main"', "menus: should be a table, such as { key = value } (it is 'main')"),
        ("menus = []", "menus: should be a table, such as { key = value }"),
        ('menus.main = "welcome"', "menus.main: should be a table"),
        ('menus.main.keys.1 = "account"', "menus.main.keys.1: should be a step, such as"),
        ('menus.main.keys = ["1"]', "menus.main.keys: should be a table"),
        ('menus.main = { then = "main", collect = { max = 4 } }', "menus.main.then: should be a step, such as"),
        ('menus.main = { then = { menu = "main" }, collect = 4 }', "menus.main.collect: should be a table"),
        (
            "menus.main = { collect = {}, keys.1 = { hangup = true, play = 1 } }",
            "menus.main.collect: max is missing",
        ),
    ],
)
async def test_check_tells_of_a_menu_of_any_shape(tmp_path: Path, menus: str, line: str) -> None:
    right = '[paths."/right"]\nhandler = "menu"\nmenus.main.keys.1 = { hangup = true }\n'
    text = f'{right}[paths."/m"]\nhandler = "menu"\nstart = "main"\n{menus}\n'
    told = shown(await found(tmp_path, text))
    assert "Menus of /right" in told
    assert f'c.toml: paths."/m": {line}' in told
