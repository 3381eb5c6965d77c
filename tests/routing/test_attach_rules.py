"""Which rule a call has, and what is told of wrong rules."""

from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.cli.findings import collect_findings
from mediaserver.config.attach_settings import AttachRule
from mediaserver.routing.attach_rules import find_rule
from tests.config.test_flow_settings import problems
from tests.server.process import write_config
from tests.sound import speechlike, write_wav

PATHS = """
[voipbin]
token = "t"
[flows]
webhook_secret = "s"
[paths."/menu"]
handler = "silence"
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
[paths."/broken"]
handler = "no-such"
"""
BROKEN = 'c.toml: paths."/broken".handler: '


def rule(**settings: str) -> AttachRule:
    return AttachRule.model_validate({"path": "/menu", **settings})


@pytest.mark.parametrize(
    ("settings", "is_for_it"),
    [
        ({}, True),
        ({"destination": "+15551234567"}, True),
        ({"destination": "+1555123456"}, False),
        ({"destination": "+1555*"}, True),
        ({"destination": "+15551234567*"}, True),
        ({"destination": "+1556*"}, False),
        ({"destination": ""}, False),
        ({"source": "+49*"}, True),
        ({"source": "+48*", "destination": "+1555*"}, False),
        ({"direction": "outgoing"}, False),
        ({"direction": "any"}, True),
    ],
)
def test_a_rule_is_for_a_call_by_its_targets_and_direction(settings: dict[str, str], is_for_it: bool) -> None:
    only = rule(**settings)
    assert find_rule([only], "+15551234567", "+4930999", "incoming") == (only if is_for_it else None)


def test_the_first_rule_counts() -> None:
    rules = [rule(destination="+1*"), rule(destination="+1555*", path="/other"), rule(path="/rest")]
    assert find_rule(rules, "+15551234567", "", "incoming") is rules[0]
    assert find_rule(rules, "sales", "", "incoming") is rules[2]


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ('path = "/menu"', []),
        ('on = "call_progressing"\npath = "/play/welcome?repeat=2"\ndestination = "+1*"\nsource = "+49"', []),
        ('path = "/broken"', []),
        ("", ["c.toml: attach[0]: path is missing"]),
        (
            'path = "/menu"\non = "call_progresing"',
            ['c.toml: attach[0].on: should be "call_progressing" (did you mean "call_progressing"?)'],
        ),
        ('path = "menu"', ["c.toml: attach[0].path: should be a path of the configuration: it begins with /"]),
        ('path = "/menu"\nsource = "+1*5"', ["c.toml: attach[0].source: should have a * at its end only"]),
        ('path = "/menu"\ntarget = "+1"', ["c.toml: attach[0].target: unknown setting"]),
        ('path = "/meno"', ['c.toml: attach[0].path: no path /meno (did you mean "/menu"?)']),
        ('path = "/menu?encapsulation=x"', ['c.toml: attach[0].path: encapsulation="x" is none of audiosocket']),
    ],
)
def test_mistakes_in_rules(table: str, found: list[str], tmp_path: Path) -> None:
    told = [line for line in problems(tmp_path, f"{PATHS}\n[[attach]]\n{table}\n") if not line.startswith(BROKEN)]
    assert len(told) == len(found), told
    for line, begin in zip(told, found, strict=True):
        assert line.startswith(begin)


def test_rules_need_a_secret_for_webhooks_and_a_credential(tmp_path: Path) -> None:
    assert problems(tmp_path, '[paths."/menu"]\nhandler = "silence"\n[[attach]]\npath = "/menu"\n') == [
        "c.toml: attach: set flows.webhook_secret, too: it is VoIPBIN's webhooks that tell of calls",
        "c.toml: attach: set voipbin.token or voipbin.access_key, too: they let us dial the calls",
    ]


async def test_a_prompt_that_a_rule_names_must_be_there(tmp_path: Path) -> None:
    rules = '[[attach]]\npath = "/play/welcom"\n[[attach]]\npath = "/play/welcome"\n'
    file = write_config(tmp_path, PATHS.replace("no-such", "silence") + rules)
    write_wav(tmp_path / "prompts/welcome.wav", speechlike(160))
    settings, found = config.load(file)
    findings = await collect_findings(settings, "c.toml", found, lambda done, total: None)
    assert findings.problems == ['c.toml: attach[0].path: no prompt "welcom" (did you mean "welcome"?)']


def test_a_single_table_is_no_list(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, '[paths."/menu"]\nhandler = "silence"\n[attach]\npath = "/menu"\n')
    assert told == "c.toml: attach: is a list of tables, [[attach]] each"
