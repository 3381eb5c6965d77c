"""What `check` finds and shows, without a process around it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from mediaserver import config
from mediaserver.cli import tables
from mediaserver.cli.findings import Findings, collect_findings
from tests.server.process import write_config
from tests.sound import speechlike, write_wav


async def found(tmp_path: Path, text: str) -> Findings:
    settings, problems = config.load(write_config(tmp_path, text))
    return await collect_findings(settings, "c.toml", problems, lambda done, total: None)


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


async def test_built_in_paths_that_are_left_out_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir(exist_ok=True)
    findings = await found(tmp_path, "")
    assert len(findings.warnings) == 2
    assert [path["path"] for path in findings.paths] == ["/play/{prompt:.+}", "/tone/{tone}", "/silence"]
    told = shown(findings, 80).splitlines()
    assert [line for line in told if line.startswith("3 of 3 paths are open to anybody") and "/silence" in line]
    for warning in findings.warnings:
        assert f"left out until its prompts are there: {warning}" in told


async def test_an_empty_prompt_folder_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir(exist_ok=True)
    findings = await found(tmp_path, '[paths."/silence"]\nhandler = "silence"\n')
    assert findings.all_is_well
    told = shown(findings)
    assert f"there are no prompts in {tmp_path / 'prompts'}: put sound files there" in told
    assert "everything is in order" not in told


async def test_a_handler_that_is_not_async_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain_run.py").write_text(
        "from mediaserver.handlers import Handler\nclass Plain(Handler):\n    def run(self, session): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    findings = await found(tmp_path, '[paths."/p"]\nhandler = "plain_run:Plain"\n')
    assert findings.problems == [
        'c.toml: paths."/p".handler: handler "plain_run:Plain" has a method run that is not async:'
        " begin it with async def run"
    ]


async def test_both_files_of_tls_are_told(tmp_path: Path) -> None:
    tls = '[tls]\ncertificate = "/no/such.pem"\nkey = "/no/such.key"\n'
    findings = await found(tmp_path, f'{tls}[paths."/silence"]\nhandler = "silence"\n')
    assert findings.problems[:2] == [
        "c.toml: tls.certificate: /no/such.pem cannot be read: No such file or directory",
        "c.toml: tls.key: /no/such.key cannot be read: No such file or directory",
    ]


async def test_a_certificate_without_a_key_is_one_mistake(tmp_path: Path) -> None:
    tls = '[tls]\ncertificate = "/no/such.pem"\n[paths."/silence"]\nhandler = "silence"\n'
    findings = await found(tmp_path, tls)
    assert findings.problems == [
        f"{tmp_path}/config.toml: tls: certificate and key go together: one of them is missing",
        "c.toml: tls.certificate: /no/such.pem cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(("directory", "hinted"), [("prompts", True), ("sounds", False)])
async def test_init_is_advised_for_the_folder_that_it_makes(tmp_path: Path, directory: str, hinted: bool) -> None:
    settings, problems = config.load(write_config(tmp_path, f'[prompts]\ndirectory = "{directory}"\n'))
    (tmp_path / "prompts").rmdir()
    (problem,) = (await collect_findings(settings, "c.toml", problems, lambda done, total: None)).problems
    assert ('"mediaserver init"' in problem) == hinted


async def test_an_event_that_is_almost_one_of_ours_is_worth_a_look(tmp_path: Path) -> None:
    events = '[events]\ntypes = ["digitz", "digits", "bridge.ended", "order.placed"]\n'
    findings = await found(tmp_path, f'{events}[paths."/silence"]\nhandler = "silence"\n')
    assert findings.all_is_well
    assert findings.notes[1:] == ['c.toml: events.types: unknown event type "digitz" (did you mean "digits"?)']


async def test_a_path_that_is_slow_to_match_is_worth_a_look(tmp_path: Path) -> None:
    slow = "/a/{x:.+}/b/{y:.+}/c/{z:.+}"
    findings = await found(
        tmp_path, f'[paths."{slow}"]\nhandler = "silence"\n[paths."/b/{{x:.+}}"]\nhandler = "silence"\n'
    )
    assert findings.all_is_well
    (note,) = findings.notes[1:]
    assert note.startswith(f'c.toml: paths."{slow}": several of its variables may match the same text')


@pytest.mark.parametrize("segment", [":name", "<name>", "*", "**"])
async def test_a_variable_of_other_frameworks_is_worth_a_look(tmp_path: Path, segment: str) -> None:
    silent = 'handler = "silence"\n'
    paths = f'[paths."/a/{segment}/b"]\n{silent}[paths."/c/{{x:<a>*}}/d:e/f*"]\n{silent}'
    findings = await found(tmp_path, paths)
    assert findings.all_is_well
    assert findings.notes[1:] == [
        f'c.toml: paths."/a/{segment}/b": {segment} matches only itself: a variable is written {{name}},'
        " and {name:.+} where it may have slashes"
    ]


async def test_a_file_s_name_writes_nothing_to_a_terminal(tmp_path: Path) -> None:
    """In both tables of prompts, among what is wrong, and among what is ignored."""
    evil = "\x1b]0;owned\x07\x9b2J"
    (tmp_path / "prompts").mkdir()
    write_wav(tmp_path / f"prompts/{evil}good.wav", speechlike(100))
    (tmp_path / f"prompts/{evil}bad.wav").write_bytes(b"no sound")
    (tmp_path / f"prompts/{evil}.txt").write_bytes(b"no sound by its name")
    text = shown(await found(tmp_path, '[paths."/silence"]\nhandler = "silence"\n'))
    assert {each for each in text if not each.isprintable()} == {"\n"}
    assert text.count("\\x1b]0;owned\\x07\\x9b2J") == 4


async def test_paths_on_which_anybody_may_have_said_what_they_like(tmp_path: Path) -> None:
    paths = {"shut": 'tokens = ["secret"]', "let": "text_from_url = true", "open": "", "own": 'text = "Hello."'}
    text = "".join(
        f'[paths."/{name}"]\nhandler = "say"\nengine = "openai"\n{line}\n' for name, line in paths.items()
    )
    (tmp_path / "prompts").mkdir()
    write_wav(tmp_path / "prompts/a.wav", speechlike(100))
    findings = await found(tmp_path, f'[speech.openai]\ntoken = "t"\n{text}')
    assert findings.notes == [
        'c.toml: paths."/let": text_from_url: anybody who reaches the port can have it speak any text (?text=)',
        'c.toml: paths."/open": no text is set, and ?text= is not allowed where anybody may dial: '
        "set text or tokens",
    ]
