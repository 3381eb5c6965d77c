"""Mistakes in `[flows]`, and in paths that a flow asks for."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from mediaserver import config
from mediaserver.cli import tables
from mediaserver.cli.findings import collect_findings
from mediaserver.routing.configuration import Configuration
from tests.server.process import write_config

FLOWS = """
[flows]
secret = "s"
public_url = "https://media.example.com/flow"
media_host = "media.example.com"
"""
MENU = """
[paths."/menu"]
handler = "menu"
menus.main.keys.1 = { transfer = "+4930123456" }
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    settings, found = config.load(file)
    return list(
        Configuration.build(settings, "c.toml", [each.replace(str(file), "c.toml") for each in found]).problems
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FLOWS + MENU + "flow = true", []),
        (FLOWS + '[paths."/a"]\nhandler = "silence"\nflow = true', []),
        (
            MENU,
            [
                'c.toml: paths."/menu": menus.main.keys.1.transfer: only the call of a VoIPBIN flow can be led on:'
                " set flow = true"
            ],
        ),
        (MENU + "flow = true", ['c.toml: paths."/menu": flow: set flows.secret, too']),
        (
            MENU.replace("+49", "49") + "flow = true",
            [
                'c.toml: paths."/menu": flow: set flows.secret, too',
                'c.toml: paths."/menu": menus.main.keys.1.transfer: should be a destination: tel:+4930123456,'
                " sip:sales@example.com, extension:100, agent:<id>, queue:<id>, conference:<id>",
            ],
        ),
        (
            '[flows]\nsecret = "s"',
            [
                "c.toml: flows: with a secret, public_url and media_host must be set: VoIPBIN is told how to reach"
                " us"
            ],
        ),
        (
            FLOWS.replace('"media.example.com"', '"media.example.com:9100"'),
            [
                "c.toml: flows.media_host: should be the whole name of a host, such as media.internal, with no"
                " scheme and no port; IP addresses need no entry (it is 'media.example.com:9100')",
            ],
        ),
        (
            FLOWS + 'media_ports = "9100"',
            [
                'c.toml: flows.media_ports: should be the first and the last port, such as "9100-9199"'
                " (it is '9100')"
            ],
        ),
        (
            FLOWS + 'media_ports = "9000-19000"',
            ["c.toml: flows.media_ports: has 10001 ports: at most 2000 are allowed (it is '9000-19000')"],
        ),
        (
            FLOWS + 'port = 8080\nmedia_ports = "8081-8082"',
            [
                "c.toml: flows.media_ports: admin.port is among them: choose another port",
                "c.toml: flows.port: is server.port as well: choose another port",
            ],
        ),
        (
            FLOWS + '[audiosocket]\nports = { 9100 = "/silence" }',
            ["c.toml: audiosocket.ports.9100: is in flows.media_ports as well: choose another port"],
        ),
        (
            FLOWS + '[paths."/a"]\nhandler = "silence"\nflow_full = [{ typ = "hangup" }]',
            ['c.toml: paths."/a".flow_full: [0]: should be an action, such as { type = "hangup" }'],
        ),
        (
            FLOWS.replace('"s"', '"env:NO_SUCH_SECRET"'),
            ["c.toml: flows.secret: the environment variable NO_SUCH_SECRET is not set, or empty"],
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, found: list[str]) -> None:
    assert sorted(problems(tmp_path, text)) == found


def test_a_change_needs_a_restart(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(FLOWS)
    (tmp_path / "new.toml").write_text(FLOWS + "poll = 5")
    old, new = (
        Configuration.build(config.load(tmp_path / name)[0], "c.toml") for name in ("config.toml", "new.toml")
    )
    assert old.needing_restart(new) == ["c.toml: flows.poll: cannot change while the server runs: restart it"]


async def test_check_shows_which_url_a_flow_names(tmp_path: Path) -> None:
    settings, _ = config.load(write_config(tmp_path, FLOWS + MENU + "flow = true"))
    findings = await collect_findings(settings, "c.toml", (), lambda done, total: None)
    text = io.StringIO()
    tables.show_findings(findings, Console(file=text, width=200), Console(file=text, width=200))
    assert "/menu is for flows whose fetch names https://media.example.com/flow/<secret>/menu\n" in text.getvalue()
    assert "transfer to tel:+4930123456" in text.getvalue()
