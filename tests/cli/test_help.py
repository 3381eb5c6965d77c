"""What the commands say of themselves, all of them; and the completion of shells."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from mediaserver.cli import main
from tests.timing import UNIT

ROOT = typer.main.get_command(main.app)
COMMANDS = sorted(ROOT.commands)  # type: ignore[attr-defined]
BINARY = Path(sys.executable).with_name("mediaserver")


def shown(*command: str) -> str:
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
    return runner.invoke(main.app, [*command, "--help"]).output


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_is_in_plain_words(command: tuple[str, ...]) -> None:
    text = shown(*command)
    assert "Usage: mediaserver" in text
    assert "<bool>" not in text
    (usage,) = re.findall(r"Usage: .*", text)
    assert not set("{}") & set(usage)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_that_it_takes(command: str) -> None:
    examples = re.findall(r"Example: mediaserver (.*\S)", shown(command))
    assert examples
    for example in examples:
        name, *arguments = shlex.split(example)
        assert name == command
        parsing = ROOT.commands[name]  # type: ignore[attr-defined]
        parsing.make_context(name, arguments).close()


def test_names_of_tables_are_shown_with_their_brackets() -> None:
    text = " ".join(shown("flow").split())
    assert "the URL of [flows]" in text
    assert "a port in [audiosocket]" in text
    assert "in place of that of [flows]" in text.replace(" │ │ ", " ")


def test_paragraphs_are_as_wide_as_the_terminal() -> None:
    lines = [line.strip() for line in shown("call").splitlines()]
    begin = next(n for n, line in enumerate(lines) if line.startswith("With tcp://"))
    assert len(lines[begin]) > 100
    assert len(lines[begin + 1]) > 100


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["mediaserver", "ca"], {"call"}),
        (["mediaserver", "s"], {"say", "serve", "sign", "simulate"}),
        (["mediaserver", "call", "--dig"], {"--digits"}),
        (["mediaserver", "attach", "con"], {"conference"}),
        (["mediaserver", "call", "--framing", "m"], {"message"}),
    ],
)
def test_what_is_typed_is_completed(typed: list[str], expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MEDIASERVER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(typed))
    monkeypatch.setenv("COMP_CWORD", str(len(typed) - 1))
    done = CliRunner().invoke(main.app, [], prog_name="mediaserver")
    assert set(done.output.split()) >= expected
    assert all(word.startswith(typed[-1]) for word in done.output.split())


def test_options_say_in_words_what_they_take() -> None:
    for name in main.app.registered_commands:
        word = name.callback.__name__ if name.callback is not None else ""
        told = CliRunner().invoke(main.app, [word, "--help"]).output
        assert " range>" not in told, word
        assert "<float" not in told, word


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MEDIASERVER_COMPLETE", f"source_{shell}")
    done = CliRunner().invoke(main.app, [], prog_name="mediaserver")
    assert f"_MEDIASERVER_COMPLETE=complete_{shell}" in done.output


def test_completion_is_installed_and_works_in_a_shell(tmp_path: Path) -> None:
    """As a user has it: installed from a bash, in the next bash `mediaserver sig` and a tabulator."""
    environment = os.environ | {"HOME": str(tmp_path), "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}

    def bash(script: str, *options: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", *options, "-c", script],
            capture_output=True,
            text=True,
            timeout=60 * UNIT,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "bash completion installed in" in bash("mediaserver --install-completion; exit $?")
    completed = bash(
        'source ~/.bashrc; function=$(complete -p mediaserver | sed "s/.*-F \\([^ ]*\\).*/\\1/"); '
        'COMP_WORDS=(mediaserver sig) COMP_CWORD=1; "$function" mediaserver sig mediaserver; '
        'echo "${COMPREPLY[@]}"'
    )
    assert completed.split() == ["sign"]


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_configuration_without_its_option_is_told(command: str) -> None:
    done = CliRunner().invoke(main.app, [command, "my.toml"])
    assert done.exit_code == 2
    assert "a configuration is given by --config my.toml" in done.output


@pytest.mark.parametrize("words", [("check", "prompts"), ("call", "ws://x", "my.toml")])
def test_other_words_too_many_are_told_as_they_are(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main.app, words)
    assert done.exit_code == 2
    assert f"unexpected extra argument(s) ({words[-1]})" in done.output
